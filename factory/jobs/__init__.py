"""Jobs: the file a user writes, the plan of N slots, the wave loop, the engine."""

"""The student: the model that the data is for, asked and graded."""

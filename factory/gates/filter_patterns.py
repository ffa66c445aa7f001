"""The patterns by which factory/gates/filter_rules.py knows what a scrape or a lazy writer leaves behind.

Patterns of Polars (the Rust crate regex): no look-around, and time in proportion to the text whatever it holds.
"""

from __future__ import annotations

from factory.gates.text_patterns import either

CONTROL = r"[\x00-\x08\x0e-\x1f\x7f\x{fffe}\x{ffff}]"

# UTF-8 that was read as Latin-1 or Windows-1252: the lead byte as a letter, then what its next bytes became.
_NEXT = r"\x{80}-\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
MOJIBAKE = either(
    r"[ÂÃ][\x{80}-\x{bf}]",
    rf"â€[{_NEXT}]",
    rf"ðŸ[{_NEXT}]",
    r"ï»¿|ï¿½",
    rf"(?:[ÐÑ][{_NEXT}]){{3}}",
    r"\x{fffd}",
)
ENCODING_ASKED = r"(?i)encod|decod|mojibake|unicode|utf|charset|latin-1|garbled|characters?\b"

# One letter or mark so many times in a row; digits, dashes and underscores may rightly come so often.
RUN = "|".join(rf"{c}{{40}}" for c in [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "!", r"\?"])

URL = r"(?:https?://|www\.)\S+"
URL_ASKED = (
    r"(?i)\b(?:urls?|links?|websites?|sites?|web ?pages?|pages?|sources?|references?|citations?|resources?)\b|://"
)
CAPITALS_ASKED = (
    r"(?i)\b(?:upper[- ]?case|capital letters?|capitals\b|capitali[sz]|caps\b|acronym"
    r"|abbreviat|morse|telegram|headline|shout)"
)

BOILERPLATE = either(
    r"(?i)\A\W*thank(?:s| you)(?: (?:so|very) much)? for (?:your|the|asking|reaching|providing|sharing|this)\b"
    r"[^.!\n]{0,40}\b(?:question|query|request|prompt|out|message|interest|asking|patience|instruction)",
    r"(?i)\A\W*in (?:today(?:'|’)s|this|our|the modern) (?:fast[- ]paced|ever[- ](?:changing|evolving)|digital"
    r"|modern)\b"
    r"[^.\n]{0,40}\b(?:world|age|era|society|landscape|times)\b",
    r"(?i)\A\W*(?:as (?:requested|per your (?:request|instructions?))|based on (?:the|your) (?:prompt|instructions?)"
    r"|per your request)\b",
    r"(?i)\A\W*i(?:'|’)?(?:ll| will) (?:now )?(?:do my best|try my best|answer (?:this|your) (?:question|query))\b",
    r"(?i)\A\W*(?:i hope this (?:message|email) finds you well)?[.\s]*(?:the (?:answer|response) to (?:your|the) "
    r"(?:question|prompt|query) is as follows)\b",
    r"(?i)\A\W*let me (?:think about|help you with) (?:this|that)\b",
    r"(?i)\A\W*(?:hello|hi)(?: there)?[!,.]? (?:i(?:'|’)m|i am) (?:here|happy|glad|ready) to (?:help|assist)\b",
)
THANKS_ASKED = r"(?i)\b(?:thank|e-?mail|letter|repl(?:y|ies)|message|customer|support|review|speech|dialogue)\b"

LONG_FORM = (
    r"(?i)\b(?:write|draft|compose|prepare|develop|create|produce|give me|provide)\b[^.?!\n]{0,60}?"
    r"\b(?:essay|blog post|article|report|white ?paper|short story|story|speech|business plan|lesson plan"
    r"|marketing plan"
    r"|training plan|case study|tutorial|guide|proposal|detailed (?:analysis|explanation|plan|overview|review)"
    r"|comprehensive \w+|in-depth \w+)\b"
)
LENGTH_SAID = (
    r"(?i)\b(?:brief\w*|short (?:answer|reply|note|text|piece|version|message|article|report|essay|speech)|concise\w*"
    r"|succinct\w*|quick\w*|small|tiny|mini|simple|flash|micro\w*|one|single"
    r"|two|three|four|five|paragraph|sentences?|outline|title|headline|intro\w*|opening|hook|conclusion|thesis|abstract"
    r"|first line|last line|bullet|slogan|summar\w*|haiku|poem|limerick|tweet|caption|tl;?dr|query|sql|function|code"
    r"|\d+[- ]?(?:words?|characters?|lines?|seconds?|minutes?))\b"
)

VAGUE = either(
    r"(?i)\b(?:it|that|this) (?:really |all |largely |mostly )?depends(?: on (?:many|various|several"
    r"|a (?:lot|number) of|the"
    r"|your) (?:different )?(?:factors?|things|circumstances|situation|context))?",
    r"(?i)\bthere (?:are|can be|could be|may be) (?:many|various|several|numerous|lots of|a (?:lot|number|variety) of) "
    r"(?:different |possible |important )?(?:ways|factors|things|reasons|aspects|options|approaches|opinions|views"
    r"|possibilities|considerations)",
    r"(?i)\b(?:it(?:'|’)?s|it is) (?:very |always |also )?(?:important|essential|crucial|worth|good|best) to "
    r"(?:consider|remember|keep in mind|understand|note|think about|be aware"
    r"|do your (?:own )?research|find what works)",
    r"(?i)\b(?:everyone|everybody|each (?:person|case|situation)|every (?:person|case|situation))"
    r" is (?:different|unique)",
    r"(?i)\b(?:do|doing) (?:your|some|more) (?:own )?research",
    r"(?i)\b(?:consult|talk to|speak (?:to|with)|seek) (?:an? |the )?(?:expert|professional|specialist)s?(?: (?:help"
    r"|advice))?",
    r"(?i)\bin (?:many|various|different|all sorts of) (?:ways|aspects|respects|contexts)",
    r"(?i)\b(?:various|many|different|several|numerous) (?:factors|aspects|considerations|elements|perspectives)",
    r"(?i)\b(?:and so on|and so forth|and more|etc\.|among other things|things like that|stuff like that)",
    r"(?i)\b(?:some|many) people (?:say|think|believe|feel|like|prefer)",
    r"(?i)\b(?:at the end of the day|when all is said and done|only time will tell|there is no"
    r" (?:one|single) (?:right )?"
    r"(?:answer|way)|no one[- ]size[- ]fits[- ]all)",
    r"(?i)\b(?:a (?:complex|broad|interesting|complicated|multifaceted|big|deep)"
    r" (?:topic|subject|question|issue|matter))",
)
SPECIFIC = r"\d|```|`[^`\n]+`|\$|[“\"][^”\"\n]{12,}[”\"]"
STOP_WORDS = r"(?i)\b(?:the|be|to|of|and|that|have|with)\b"
ELLIPSIS_END = r"(?:\.\.\.|…)[\"'”’)]*$"
BULLET = r"^\s*(?:[-*+•●‣◦–]|\d{1,3}[.)])\s"
SONG_ASKED = (
    r"(?i)\b(?:song|lyrics?|chorus|refrain|poems?|poetry|verse|villanelle|pantoum|ballad|hymn|chant|prayer|mantra|nursery"
    r"|rap|repeat\w*|repetiti\w*|times|drill|loop\w*|pattern|ascii"
    r"|rhymes?|lullaby|anaphora|quiz|multiple[- ]choice|flash ?cards)\b"
)
INPUT_MISSING = (
    r"(?i)\b(?:the )?(?:following|given|below)\b[^.\n:]{0,40}\b(?:text|passage|paragraph|article|sentences?|email|code"
    r"|function|document|story|review|tweet|snippet|poem)\b[^.\n:?]{0,30}:\s*\z"
)

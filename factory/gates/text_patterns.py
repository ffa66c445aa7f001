"""The patterns by which factory/gates/text.py knows residue, refusals, placeholders and cut texts.

They are patterns of Polars (the Rust crate regex): no look-around. `FENCED` and `CODE` are taken out before most of
them are looked for, so that a text about a chat template may show one.
"""

from __future__ import annotations

NEVER = r"[^\s\S]"
FENCED = r"(?s)(?:```|~~~).*?(?:```|~~~|\z)"
CODE = r"`[^`\n]*`"
MATHS = r"(?s)\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\$[^$\n]{1,200}\$"
LINK = r"\[[^\]\n]*\]\([^)\n]*\)"
EMPHASIS = r"[*_]{1,3}"

# ----------------------------------------------------------------------------------------------------------- residue

_BETTER = r"(?:improved|refined|revised|rewritten|updated|polished|modified|enhanced|original|new)"
_PART = r"(?:instruction|response|query|prompt)"
_TOKENS = [
    r"<\|[a-z_]{2,30}\|>",
    r"\[/?(?:END|INST|SYS|EOS|EOT)\]",
    r"<</?SYS>>",
    r"</?(?:think|thinking|scratchpad|reasoning)>",
]
_LABELS = [
    rf"(?im)\A\W*(?:{_BETTER}\s+)?{_PART}\s*\d?\s*(?:\*\*)?:",
    rf"(?im)^\W*{_BETTER}\s+(?:{_PART}|answer|question)\s*(?:\*\*)?:",
    rf"(?im)^#{{2,6}}\s*(?:{_BETTER}\s+)?(?:instruction|response|query|human|assistant)\s*:?\s*$",
    rf"(?im)^#{{1,6}}\s*(?:{_PART}|human|assistant|user)\s*:",
    r"(?im)^\W*(?:query type|skills? (?:used|shown|demonstrated|illustrated))\s*(?:\*\*)?:",
    r"(?i)\A\s*(?:here(?:'s|’s| is)|below is)\s+(?:the|my|an?)\s+(?:improved|refined|revised|final)\s+"
    r"(?:instruction|query|prompt)\b",
]
_CRITIC = [
    r"(?im)^\W*as the (?:critic|asker)\b",
    r"(?i)\b(?:address|incorporat|reflect|respond|follow|consider)\w*\s+(?:to\s+)?(?:the|your|this)\s+(?:above\s+)?critique\b",
    r"(?i)\b(?:based on|given|per) the (?:above )?(?:critique|critic's (?:notes|feedback|points))\b",
    r"(?i)\(?\bnote:\s+(?:the|this|i|my)\b[^.\n]{0,60}\b(?:revised|rewritten|refined|reworded|regenerated|truncated"
    r"|shortened to fit|within the (?:word|token|length) limit)\b",
]
_OLDER = [
    r"(?i)\bthis (?:revised |refined |improved |updated |enhanced )?(?:response|answer|version)\b[^.\n]{0,120}"
    r"\b(?:weakness(?:es)?|critique|(?:previous|original|earlier|first) (?:version|response|answer|draft))\b",
    r"(?i)\b(?:than|of|from|over|in) (?:the|my) previous (?:response|answer|draft)\b",
]
_JSON = [
    r'(?i)\A\s*(?:```(?:json)?\s*)?\{\s*"(?:\w+_)?(?:response|instruction|answer|query|prompt|output)"\s*:',
    r"\\n\\n",
]
JSON_TAIL = r'"\s*\}\s*\z'


def either(*patterns: str) -> str:
    """Return the pattern of any of these."""
    return "|".join(f"(?:{pattern})" for pattern in patterns)


RESIDUE = either(*_TOKENS, *_LABELS, *_CRITIC, *_OLDER)
JSON_RESIDUE = either(*_JSON)
JSON_ASKED = r"(?i)\bjson\b|\\n|[{}]"
COUNTED = r"(?i)[(\[]?\b(?:word|token|character) count\s*:\s*\d+\s*(?:words|tokens|characters)?[)\]]?\W*\z"
COUNT_ASKED = r"(?i)\b(?:words?|characters?|tokens?|count)\b"
REVISED = (
    r"(?i)\A\W*(?:here(?:'s|’s| is| are)|below is|this is)\s+(?:the|an?|my|your)\s+(?:[\w-]+,?\s+){0,2}"
    r"(?:revised|refined|improved|rewritten|polished|edited|updated|final)\b[^\n]{0,120}?(?::|\n)"
)
REVISION_ASKED = (
    r"(?i)\b(?:re-?(?:writ|vis|word|phras|fin|draft)\w*|edit\w*|improv\w*|polish\w*|updat\w*|proofread\w*|correct\w*"
    r"|fix\w*|simplif\w*|shorten\w*|version|better|clean\w*|chang\w*|feedback)\b"
)

# ---------------------------------------------------------------------------------------------------------- refusals

_CANNOT = (
    r"(?:can(?:no|'|’| no)t|am (?:not able|unable) to|'m (?:not able|unable) to|’m (?:not able|unable) to|won(?:'|’)t"
    r"|will not|must decline to|have to decline to|am not comfortable|'m not comfortable)"
)
_DO = (
    r"(?:help|assist|provide|comply|do that|fulfil+|answer|create|write|generate|engage|discuss|offer|participate"
    r"|produce|access|browse|writing|providing|helping|generating)"
)
_WHAT = (  # a narrator, too, may begin with "I can't help": it takes an object to decline a request
    r"(?:\s+with\b|\s+(?:(?:that|this|your|such|any|an?|the)\b[^.\n]{0,40}?)?\b(?:requests?|content|information|advice"
    r"|guidance|instructions?|questions?|topics?|material|story|essay|code|text|list)\b|(?:\s+(?:that|this|it))?[.,!])"
)
_MODEL = (
    r"(?:an AI|an artificial intelligence|a (?:large )?language model)"
    r"(?: (?:language )?(?:model|assistant|system|chatbot))?"
)
REFUSAL = either(
    rf"(?i)\A[\s*_#]*(?:I(?:'|’)?m (?:very |so |really )?sorry|I am sorry|sorry|my apologies"
    r"|I apologi[sz]e|unfortunately)"
    rf"[^.\n\"“]{{0,60}}\bI\s*{_CANNOT}\s+{_DO}\b",
    rf"(?i)\A[\s*_#]*I\s*{_CANNOT}\s+{_DO}{_WHAT}",
    rf"(?i)(?:\A|\A[^\"“'‘\n]{{0,200}}[^\"“'‘\w])as {_MODEL}\b\s*(?:,|I\b|developed|created|trained)",
    rf"(?i)\A[\s*_#]*(?:I(?:'|’)m|I am) (?:just |only )?{_MODEL}\b",
    r"(?i)\A[\s*_#]*(?:I(?:'|’)m sorry, but )?I (?:do not|don(?:'|’)t) have"
    r" (?:the ability to|access to (?:real|the internet|current)"
    r"|real-?time|personal (?:experiences|opinions|feelings|beliefs))",
    r"(?i)\A[\s*_#]*(?:I(?:'|’)m sorry|I am sorry|sorry), but (?:this|that|the) (?:request|content|topic|question)\b",
    r"(?i)\A[\s*_#]*(?:es tut mir leid, (?:aber )?(?:ich kann|das kann ich|dabei kann ich)|als (?:KI|Sprachmodell))\b",
)
REFUSAL_ASKED = (
    r"(?i)\b(?:declin\w*|refus\w*|turn(?:ing)? down|say(?:ing)? no|apolog\w*|excuse|regret|rejection|cancel\w*|absage"
    r"|chatbot|language model)\b"
)

# ------------------------------------------------------------------------------------------------------- cut or whole

CUT_END = (
    r"[,:(\[{–—]\z|[\p{L}]-\z"
    r"|\s(?:and|or|the|an|because|their|its|our|my|your|if|although|whereas|und|oder|der|das)\z"
)
CUT_END_PROSE = r"[\p{L},:;(\[{–—-]\z"
CLOSING = (
    r"(?i)\b(?:regards|sincerely|best|cheers|yours|love|thanks|wishes|respectfully|gratefully|warmly|truly"
    r"|faithfully|grüßen|grüße),\z"
)
LIST_ITEM = r"^\s*(?:[-*+•–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+\S"
CLOSED_ITEM = r"(?m)^\s*(?:[-*+•]|\d{1,3}[.)])\s+[^\n]*[.!?][\"'”’)*_]*[ \t]*$"
ANY_ITEM = r"(?m)^\s*(?:[-*+•]|\d{1,3}[.)])\s+\S"
EMPTY_ITEM = r"\n\s*(?:[-*+•]|\d{1,3}[.)])\z"
HEADING = r"\n\s*#{1,6}\s[^\n]*[^\n\s\d.,:/%$€£-][^\n]*\z"  # "#### 72" is how GSM8K ends its solutions
UNENDED_LINE = (
    r"^\s*[|#]|=|://|www\.|@\S+\z|#\w+\z|(?i:^\W*(?:final )?answer\W*:)"
    r"|(?i:^\s*(?:select|insert|update|delete|create|alter|drop)\b.*;\z)"
)
SENTENCE_INSIDE = r"[\p{Ll}\p{N})]{4,}[.!?][\"'”’)]*\s+[\p{Lu}\"“]"
UNPUNCTUATED = r"(?m)^[^\-*+•#|\d\n][^\n]{25,}\p{L}[ \t]*$"  # a line of verse, say
MANY_WORDS = r"(?:\S+\s+){11}\S"

# --------------------------------------------------------------------------------------------------------- shirking

WRITING = (
    r"(?i)\b(?:essay|blog post|in[- ]depth|comprehensive|thorough|detailed|in detail|business plan|lesson plan"
    r"|study plan|meal plan|workout plan|training plan|project plan|itinerary|cover letter"
    r"|step[- ]by[- ]step (?:guide|plan|instructions)"
    r"|(?:write|draft|compose|prepare|develop)\b[^.?!\n]{0,40}\b(?:letter|story|speech|report|article|recipe|tutorial|guide"
    r"|proposal|analysis))\b"
)
EXPLAINING = (
    r"(?i)(?:^|[.!?\n]\s*|\b(?:please|and|you) )"
    r"(?:explain (?:why|how|the|what)|describe how|compare|discuss|walk me through)\b"
)
SHORT_ASKED = (
    r"(?i)\b(?:brief\w*|short|concise\w*|succinct\w*|quick\w*|one[- ](?:line|word|liner)|single|headline|title|tagline"
    r"|slogan|tweet|haiku|couplet|limerick|caption|subject line|name of|yes or no|true or false|which|who|when|where"
    r"|how (?:many|much|long|old|far)|classif\w*|extract|correct|sentiment|tl;?dr"
    r"|an? (?:sentence|word|line|phrase|number)"
    r"|(?:\d{1,2}|one|two|three|four|five|six|ten|fifteen|twenty)[- ](?:words?|sentences?|lines?))\b"
)
_EACH = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"  # Thai, kana, Han: a word each
WORDS = rf"[{_EACH}]|[^\s{_EACH}]+"

# ------------------------------------------------------------------------------------------------------- placeholders

# In a letter a name that nobody told the writer is rightly left open.
OPEN_NAME = (
    r"(?i)\[(?:your|my|the|recipient(?:'s|’s)?"
    r"|client(?:'s|’s)?|sender(?:'s|’s)?|customer(?:'s|’s)?|manager(?:'s|’s)?|their|his|her)?"
    r"\s*(?:(?:full|first|last|company|business|street|email|phone|job|hiring|manager(?:'s|’s)?)\s+)*"
    r"(?:name|names|date|title|company|address|email|phone|number"
    r"|signature|position|city|state|zip|organi[sz]ation|contact information)\]"
)
PLACEHOLDER = either(
    r"(?i)\[(?:insert|add|enter|fill|specify|describe|include|placeholder|your|list|mention|provide|state|name|details?"
    r"|example|topic|subject|link|x{2,})\b[^\]\n]{0,80}\]",
    r"(?i)\[(?:\.{3}|…|(?:rest|remainder|continuation) of[^\]\n]{0,60}|continued?[^\]\n]{0,30})\]",
    r"(?i)<(?:insert|your)[ _-][^>\n]{1,60}>",
    r"\bTODO\s*[:\])]",
    r"(?i)\blorem ipsum\b",
    r"(?m)^\s*(?:[-*+•]|\d{1,3}[.)])\s*(?:\.{3}|…)\s*$|\A\s*(?:\.{3}|…)\s*\z",
)
CODE_PLACEHOLDER = (
    r"(?i)(?:#|//|--|/\*|<!--)\s*(?:TODO\b|(?:\.{3}|…)?\s*(?:your (?:code|logic|implementation) (?:goes )?here"
    r"|(?:the )?rest of (?:the|your) (?:code|function|file|program)|implementation (?:goes )?here"
    r"|add (?:your )?(?:code|logic) here))"
)
PLACEHOLDER_ASKED = (
    r"(?i)\b(?:template|placeholders?|fill[- ]in|blanks?|mad libs?|lorem|todo|stub|skeleton"
    r"|boilerplate)\b|\[[^\]\n]+\]"
)

# ------------------------------------------------------------------------------------------------- language, preamble

# Ranges of code points: the classes of Unicode (\p{Latin}) take ten times as long to compile.
LATIN = "[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]+"
SCRIPTS = (
    "Ѐ-ԯ",  # Cyrillic
    "぀-ヿ㐀-鿿豈-\ufaff",  # Chinese and Japanese
    "가-힣",
    "\u0600-\u06ff\u0750-\u077f",  # Arabic
    "\u0590-\u05ff",  # Hebrew
    "Ͱ-Ͽἀ-\u1fff",  # Greek
    "ऀ-ॿ",  # Devanagari
    "ก-๛",  # Thai
)
BEYOND_LATIN = r"[\x{370}-\x{1dff}\x{1f00}-\x{1fff}\x{2e80}-\x{10ffff}]"  # holds every letter of SCRIPTS
LANGUAGE_ASKED = (
    r"(?i)transl|transliter|übersetz|traduc|traduz|tradui|перев[её]|翻[译譯訳]|번역|ترجم"
    r"|\b(?:chinese|mandarin|japanese|korean|russian|ukrainian|bulgarian|greek|arabic|persian|farsi|hebrew|hindi|thai"
    r"|english|german|french|spanish|italian|portuguese|language|alphabet|script|kanji|hiragana|katakana|emoji)\b"
    r"|英[语語文]|中文|日本語|韓国語|по-(?:английски|русски)|на (?:английск|русск)"
)
PREAMBLE = (
    r"(?i)\A\W*(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|gladly|no problem|definitely|alright)"
    r"[!,.:]*\s*(?:[—–-]\s*)?(?:(?:here(?:'s|’s| is| are| you go))|below (?:is|are)"
    r"|let me (?:help|explain|break|walk|give|provide|show)"
    r"|i(?:'d|’d| would|'ll|’ll| will) be (?:happy|glad)"
    r"|i(?:'d|’d| would) love to|i can help|let(?:'|’)s (?:dive|get started|break))"
    r"|\A\W*i(?:'d|’d| would|'ll|’ll| will) be (?:happy|glad) to (?:help|assist)"
    r"|\A\W*(?:great|good|excellent|interesting) question\b"
)

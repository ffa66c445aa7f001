"""A chat model of half a million random parameters, made in a second: real weights, tokenizer and chat template.

It writes nonsense; under a JSON schema it writes schema-valid nonsense, which is what a test of the protocol needs.
The head dimension is 64, one that the CPU attention kernel of vLLM has.
"""

from __future__ import annotations

import random
from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = 2_048


def build(folder: Path, template: str | None = TEMPLATE, context: int = 2_048) -> Path:
    """Write the model into a folder and return it; `template=None` leaves out the chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    # No control characters: a grammar for strings of a bounded length lets them through, and JSON does not.
    alphabet = [
        char for char in pre_tokenizers.ByteLevel.alphabet() if char.isascii() or char in "ĠĊ"
    ]  # space, newline
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    words.train_from_iterator(_sentences(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=WORDS,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        dtype="bfloat16",
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def _sentences() -> list[str]:
    """Return nonsense to train the tokenizer on, JSON among it."""
    rng = random.Random(0)
    syllables = [a + b for a in "bcdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "in")]
    made = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(3_000)]
    return [f'{{"{rng.choice(made)}": "{" ".join(rng.choices(made, k=12))}"}}' for _ in range(1_000)]

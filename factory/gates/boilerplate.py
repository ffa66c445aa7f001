"""Sentences that instructions and benchmarks share without either having seen the other: no evidence of a leak."""

from __future__ import annotations

SAYINGS = (
    "You are a helpful assistant.",
    "You are an AI assistant that helps people find information.",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    "Below is an instruction that describes a task, paired with an input that provides further context.",
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and"
    " polite answers to the user's questions.",
    "Let's think step by step.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "Solve the following math problem step by step. The last line of your response should be of the form Answer:"
    " $Answer (without quotes) where $Answer is the answer to the problem.",
    "Remember to put your answer on its own line after Answer: and you do not need to use a boxed command.",
    "Answer the following multiple choice question. The last line of your response should be of the following format:"
    " 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering.",
    "The following are multiple choice questions (with answers) about the topic.",
    "Choose the correct answer from the following options. Answer with the letter of the correct option only.",
    "Which of the following statements is true? Select the best answer from the choices given below.",
    "Which of the following best describes the relationship between the two? None of the above. All of the above.",
    "Read the following passage and answer the question that follows. Use only the information in the passage.",
    "Answer the following question based on the passage above. Answer the question using the context provided.",
    "Write a Python function that takes a list of integers and returns the result. Your code should pass these tests:",
    "Complete the following Python function so that it does what its docstring says. Return only the code.",
    "Here is a question for you. Explain your reasoning and give the final answer at the end as a single number.",
    "Given the following question, think about it carefully and then answer as concisely as possible.",
    "The answer to the question is as follows. Therefore, the final answer is the following number:",
    "Translate the following sentence from English to French. Summarize the following text in one sentence.",
    "How many are there in total? How much money does he have left? How much did she spend in total?",
)

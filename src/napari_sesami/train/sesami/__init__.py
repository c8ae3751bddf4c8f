"""The recipe `sesami`: LoRA on a prompt model, from objects that were labelled."""

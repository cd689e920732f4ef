"""Phase (i) at mini scale: the shipped encoder, its tokenizer and the text they are made from."""

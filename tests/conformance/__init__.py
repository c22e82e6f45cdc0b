"""The conformance kit: images, what a parser has to say of them, and programs that ask it."""

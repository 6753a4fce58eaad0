"""What a model is asked: embeddings, classes, spans for a text, texts for a span, what to describe next."""

"""How much an embedding of one modality agrees with one of the other, and what is trained to make it so."""

"""A decoder of the GPT-2 type on in-context weight prediction: the model of Figure 3 of arXiv:2603.01293."""

"""Label maps edited and placed: lesions grown, translated, rotated, exchanged; anatomy under them."""

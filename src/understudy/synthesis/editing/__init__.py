"""Label maps edited and placed: lesions grown, moved, turned, exchanged; anatomy under them."""

"""Floor 1: torch modules that know tensors and know no data: layers, filters, networks shared by several generators."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images without a container engine. **PRIVATE** to the collection.

`archive` puts layers and a configuration into a file, `layer` makes a layer of a folder or a tar file.
"""

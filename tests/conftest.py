"""Shapes are checked at run time in every test: the hook must be installed before gancolor is first imported."""

from jaxtyping import install_import_hook

install_import_hook("gancolor", "beartype.beartype")

"""An import hook that registers this library with transformers as soon as transformers is imported.

The classes of this library need transformers, and transformers has no entry points for other libraries. If transformers
is not imported yet, a finder in `sys.meta_path` waits for it. The finder also watches the modules of this package: a
module that imports transformers is not complete when that import ends, and registration needs complete modules. So
the classes are registered when the outermost watched import ends.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # this module takes longer to import than all of this package
    from importlib.abc import Loader

PACKAGE = __name__.partition(".")[0]


def register_with_transformers() -> None:
    """Register now if transformers is imported, and otherwise when it is. Nothing happens the second time."""
    if _finder.is_done or _finder in sys.meta_path:
        return
    if sys.modules.get("transformers"):
        _finder.register()
    else:
        sys.meta_path.insert(0, _finder)


class RegisteringFinder:
    """Finds modules as the other finders do, and wraps the loaders of those that are watched."""

    def __init__(self) -> None:
        self.is_done = False
        self.loading: set[str] = set()  # the watched modules whose import has not ended

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module with the other finders. The loader of a watched module is wrapped. None for other modules."""
        if self.is_done or not (fullname == "transformers" or fullname.startswith(f"{PACKAGE}.")):
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec), None)
        if spec and spec.loader:
            spec.loader = WatchedLoader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def register(self) -> None:
        """Register, unless torch is missing. Without it, transformers cannot use the models."""
        self.is_done = True
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if importlib.util.find_spec("torch"):
            importlib.import_module(".auto_classes", __package__).register()


class WatchedLoader:
    """Loads a module with its own loader, and registers afterwards if that is possible now."""

    def __init__(self, loader: "Loader", finder: RegisteringFinder):
        self.loader = loader
        self.finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # such as `get_code`, for `python -m`

    def exec_module(self, module: ModuleType) -> None:
        """Load the module. After the outermost watched import, register with transformers."""
        assert module.__spec__
        # The module should look as if its own loader had loaded it.
        module.__spec__.loader = module.__loader__ = self.loader
        self.finder.loading.add(module.__spec__.name)
        try:
            self.loader.exec_module(module)
        finally:
            self.finder.loading.remove(module.__spec__.name)
        if not self.finder.loading and not self.finder.is_done and sys.modules.get("transformers"):
            self.finder.register()


_finder = RegisteringFinder()

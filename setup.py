"""Builds the optional compiled kernels; everything else about the package is in setup.cfg."""

import copy
import os
import tempfile

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# Vectors of `rintf` and `copysignf` need the second and the third.
OPTIONS = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
TYPES = {"float32": [], "bfloat16": ["-DBFLOAT16"]}
# What PyTorch tells of a processor, and the instructions that it has then. Any processor runs the first.
INSTRUCTION_SETS = {
    "DEFAULT": [],
    "AVX2": ["-mavx2", "-mfma"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma"],
}
# The first that the compiler has. Threads are those of the OpenMP that PyTorch has loaded, and so nothing is linked; a
# second OpenMP's threads would wait for PyTorch's. It is GNU's interface that PyTorch's has on every Linux.
OPENMP = {
    "-fopenmp": "#if defined(__clang__) || !defined(_OPENMP)\n#error\n#endif\nint x;\n",
    "-fopenmp-simd": "int x;\n",
}


class BuildKernels(build_ext):
    """Compiles the sources of an extension for each type and each instruction set, into one library."""

    def build_extension(self, extension: Extension) -> None:
        openmp = self.openmp()
        objects = []
        for instruction_set, flags in INSTRUCTION_SETS.items():
            try:
                for name, definitions in TYPES.items():
                    suffix = f"{name}_{instruction_set}"
                    options = [*OPTIONS, *openmp, *flags, *definitions, f"-DSUFFIX={suffix}"]
                    folder = os.path.join(self.build_temp, suffix)
                    objects += self.compiler.compile(extension.sources, folder, extra_postargs=options)
            except CompileError:
                # Instructions of another kind of processor.
                if not objects:
                    raise
        linked = copy.copy(extension)
        linked.depends, linked.sources, linked.extra_objects = extension.sources, [], objects
        super().build_extension(linked)

    def openmp(self) -> list[str]:
        """The option for OpenMP that the compiler has, if any."""
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "openmp.c")
            for option, code in OPENMP.items():
                with open(source, "w", encoding="utf-8") as file:
                    file.write(code)
                try:
                    self.compiler.compile([source], folder, extra_postargs=["-Werror", option])
                except CompileError:
                    continue
                return [option]
        return []


setup(
    # Without a compiler it is left out, and PyTorch does the same work.
    ext_modules=[
        Extension("modeling_precode._kernels", ["modeling_precode/kernels.c"], libraries=["m"], optional=True)
    ],
    cmdclass={"build_ext": BuildKernels},
)

"""Builds the optional compiled kernels. The other settings of the package are in setup.cfg."""

import copy
import os
import tempfile

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# The compiler vectorizes `rintf` and `copysignf` only with the second and the third option.
OPTIONS = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
TYPES = {"float32": [], "bfloat16": ["-DBFLOAT16"]}
# The instruction sets that PyTorch reports, and their compiler options. Every processor supports the first.
INSTRUCTION_SETS = {
    "DEFAULT": [],
    "AVX2": ["-mavx2", "-mfma"],
    "AVX512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma"],
}
# The first option that the compiler supports is used. The kernels use the OpenMP library that PyTorch has loaded, which
# has GNU's interface on every Linux. No second one is linked, because its threads would wait for those of PyTorch.
OPENMP = {
    "-fopenmp": "#if defined(__clang__) || !defined(_OPENMP)\n#error\n#endif\nint x;\n",
    "-fopenmp-simd": "int x;\n",
}


class BuildKernels(build_ext):
    """Compiles the sources of an extension for each type and each instruction set, into one library."""

    def build_extension(self, extension: Extension) -> None:
        """Compile all versions of the kernels, and link them into one library."""
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
                # The instruction set belongs to another kind of processor.
                if not objects:
                    raise
        linked = copy.copy(extension)
        linked.depends, linked.sources, linked.extra_objects = extension.sources, [], objects
        super().build_extension(linked)

    def openmp(self) -> list[str]:
        """The option for OpenMP that the compiler supports, if any."""
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
    # Without a compiler, the extension is left out, and PyTorch does the same work.
    ext_modules=[
        Extension("modeling_precode._kernels", ["modeling_precode/kernels.c"], libraries=["m"], optional=True)
    ],
    cmdclass={"build_ext": BuildKernels},
)

"""Packaging of deocclusion_d2. `make setup` installs it with all it needs, Detectron2 included."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SOURCE = (ROOT / "deocclusion_d2" / "version.py").read_text("utf-8")
VERSION = re.search(r'^__version__ = "(.+)"$', SOURCE, re.MULTILINE)[1]

# Detectron2 is required but not listed: it is not on the package index under its own name, so pip
# would fail for everyone, also for those who have it. Install it first, from its git repository or
# with `pip install ./third_party/detectron2`.
#
# Not listed either, because pip would then replace or shadow a working build:
# - torchvision: Detectron2 needs it, so it is there; each of its releases pins one of torch's.
# - OpenCV: four distributions provide the module cv2 and overwrite each other. Whoever has none
#   takes the extra `opencv`, whose headless build also imports on a machine without libGL.
#
# The lower bounds are tested together: floors.txt repeats them, `make test-floors` installs them.
# Where nothing asks for more, they are the first releases that are built for Python 3.11.
INSTALL_REQUIRES = [
    "Pillow>=9.3",
    "PyYAML>=6.0",
    # That of Detectron2 0.6.
    "fvcore>=0.1.5.post20211023,<0.1.6",
    "iopath>=0.1.7",
    # From 0.6 on, a package can offer a function of the name of the module that it is in.
    "lazy-loader>=0.6",
    "matplotlib>=3.6",
    "networkx>=3.1",
    "numpy>=1.26",
    "portalocker>=2.0",
    "pycocotools>=2.0.7",
    # RLE by its runs, where pycocotools decodes and encodes whole images.
    "rlemasklib>=0.8",
    # Weights without a pickle. Required, so that every installation writes and reads them.
    "safetensors>=0.4",
    # structural_similarity, the SSIM by which filled holes are judged.
    "scikit-image>=0.20",
    # Minimizes the loss of the ordering prior; using a fitted one needs numpy alone.
    "scipy>=1.11",
    "shapely>=2.1",
    "tabulate>=0.9",
    "torch>=2.4",
    "tqdm>=4.60",
    "yacs>=0.1.8",
]

EXTRAS_REQUIRE = {
    "opencv": ["opencv-python-headless>=4.8.0.76"],
    # COCO's evaluation in less time, the same numbers; without it, pycocotools'.
    "fast": ["hotcoco>=1.3"],
    # Compute networks on CPUs (DEOCCLUSION.ENGINE). ncnn has Winograd's convolutions: with them,
    # large patches in float32 take two thirds of torch's time. OpenVINO takes torch's.
    "ncnn": ["ncnn>=1.0.20250503"],
    "openvino": ["openvino>=2026.2"],
    # `export`: torch's exporter is written with onnxscript, and the file is onnx's.
    "onnx": ["onnx>=1.17", "onnxscript>=0.5"],
    # `convert --engine ray`. From 2.60 on, it can be told to run no code that a table holds.
    "ray": ["ray[data]>=2.60"],
    # How different colours look, beside L1, L2 and SSIM. The library's own weights are not all:
    # AlexNet's, which torchvision has, must be there.
    "lpips": ["torchmetrics>=1.4"],
    # hotcoco, ncnn, onnx, onnxscript, openvino, ray: extras that the tests compare with what is
    # always there.
    # setuptools, unearth: the tests of the packaging build without an isolated environment.
    # hypothesis: draws the strange inputs of tests/fuzz, and makes them small.
    # playwright: drives the Chromium of the system in the tests of the HTML page.
    # mini-racer: V8 alone, which runs the page's rules in the tests where there is no Chromium.
    "dev": [
        "hotcoco>=1.3",
        "hypothesis>=6.100",
        "mini-racer>=0.14",
        "ncnn>=1.0.20250503",
        "onnx>=1.17",
        "onnxscript>=0.5",
        "openvino>=2026.2",
        "playwright>=1.40",
        "pytest>=7.4",
        "ray[data]>=2.60",
        "ruff>=0.6",
        "setuptools>=77",
        "unearth>=0.17",
    ],
}


class BuildWithConfigs(build_py):
    """Puts a copy of configs/ into the package, where find_config() looks for it.

    In a checkout, configs/ stays beside the package, and an editable installation finds it there.
    """

    def _configs(self) -> dict[str, str]:
        """Built file -> its source, relative to the project."""
        package = Path(self.build_lib, "deocclusion_d2")
        sources = sorted(path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml"))
        return {str(package / source): str(source) for source in sources}

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for target, source in self._configs().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_output_mapping(self) -> dict[str, str]:
        return super().get_output_mapping() | self._configs()

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        built = super().get_outputs(include_bytecode)
        return built + [target for target in self._configs() if target not in built]

    def get_source_files(self) -> list[str]:  # what a source distribution must hold
        return [*super().get_source_files(), *self._configs().values()]


setup(
    name="deocclusion_d2",
    version=VERSION,
    description="Self-supervised scene de-occlusion for Detectron2: occlusion ordering, amodal and "
    "content completion, and amodal datasets out of modal ones",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    cmdclass={"build_py": BuildWithConfigs},
    packages=find_packages(include=["deocclusion_d2", "deocclusion_d2.*"]),
    package_data={
        "deocclusion_d2.editing": ["page/*"],
        "deocclusion_d2.pretrained": ["*/*.json", "*/*.safetensors"],
    },
    entry_points={"console_scripts": ["deocclusion-d2 = deocclusion_d2.cli:main"]},
    python_requires=">=3.11",
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    keywords=["amodal segmentation", "detectron2", "instance segmentation", "occlusion"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    zip_safe=False,
)

/// A library of NVIDIA that is opened at run time: the names of its files, the preferred one first, and how people get it.
package struct CUDALibrary: Sendable, Hashable {
    package let title: String
    package let names: [String]
    /// A function that every version has.
    let anchor: String
    /// What to install, as the end of a sentence.
    let installation: String

    package init(title: String, names: [String], anchor: String, installation: String) {
        self.title = title
        self.names = names
        self.anchor = anchor
        self.installation = installation
    }

    /// The driver, which comes with the system's graphics driver and never with a toolkit.
    package static let driver = CUDALibrary(
        title: "libcuda", names: ["libcuda.so.1"], anchor: "cuInit",
        installation:
            "NVIDIA's graphics driver (version 525 or later) on the machine, and in containers passed through to them; "
            + "if it lies elsewhere, name its folder in POWER_CUDA_PATH")

    /// The compiler.
    ///
    /// - Parameter major: the newest version of CUDA that the driver here is made for, whose programs it surely loads.
    package static func compiler(preferring major: Int?) -> CUDALibrary {
        CUDALibrary(
            title: "libnvrtc", names: names("libnvrtc", preferring: major) + ["libnvrtc.so"], anchor: "nvrtcVersion",
            installation: "NVIDIA's run-time compiler: pip install nvidia-cuda-nvrtc (for a driver of CUDA 12, "
                + "nvidia-cuda-nvrtc-cu12), or the CUDA toolkit; if it lies elsewhere, name its folder in POWER_CUDA_PATH")
    }

    package static func matrixProducts(preferring major: Int?) -> CUDALibrary {
        CUDALibrary(
            title: "libcublasLt", names: names("libcublasLt", preferring: major), anchor: "cublasLtGetVersion",
            installation: "NVIDIA's matrix products: pip install nvidia-cublas (for a driver of CUDA 12, nvidia-cublas-cu12), "
                + "or the CUDA toolkit; if they lie elsewhere, name the folder in POWER_CUDA_PATH")
    }

    /// cuDNN.
    package static let operationGraphs = CUDALibrary(
        title: "libcudnn", names: ["libcudnn.so.9"], anchor: "cudnnGetVersion",
        installation: "NVIDIA's attention: pip install nvidia-cudnn-cu13 (for a driver of CUDA 12, nvidia-cudnn-cu12); "
            + "if it lies elsewhere, name its folder in POWER_CUDA_PATH")

    private static func names(_ stem: String, preferring major: Int?) -> [String] {
        let versions = major == 12 ? [12, 13] : [13, 12]
        return versions.map { "\(stem).so.\($0)" }
    }
}

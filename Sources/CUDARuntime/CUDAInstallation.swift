import Foundation
import Tensors

/// What this machine has for computing on NVIDIA cards, for people to read. What is absent is described, not thrown.
package struct CUDAInstallation: Sendable {
    /// One library, its version, and where it was found, or why it was not.
    package struct Library: Sendable {
        package let name: String
        package let version: String?
        package let place: String
    }

    package let cards: [DeviceProperties]
    package let libraries: [Library]
    package let cache: KernelCache

    package init() {
        var libraries: [Library] = []
        var cards: [DeviceProperties] = []
        switch Driver.installed {
        case .success(let (driver, library)):
            var version: Int32 = 0
            _ = driver.version(&version)
            libraries.append(
                Library(name: "driver", version: "CUDA \(version / 1000).\(version % 1000 / 10)", place: library.path))
            cards = (try? DeviceProperties.all(driver)) ?? []
        case .failure(let error): libraries.append(Library(name: "driver", version: nil, place: "\(error)"))
        }
        switch NVRTC.installed {
        case .success(let nvrtc):
            libraries.append(Library(name: "NVRTC", version: "\(nvrtc.version)", place: nvrtc.library.path))
        case .failure(let error): libraries.append(Library(name: "NVRTC", version: nil, place: "\(error)"))
        }
        libraries.append(Self.cublasLt())
        self.cards = cards
        self.libraries = libraries
        cache = KernelCache()
    }

    /// The version of the kernel's driver as its own tools print it, or `nil` where the system does not tell.
    package static var driverRelease: String? {
        guard let text = try? String(contentsOfFile: "/proc/driver/nvidia/version", encoding: .utf8) else { return nil }
        return text.split(whereSeparator: \.isWhitespace).first { word in
            word.split(separator: ".").count >= 2 && word.allSatisfy { $0.isNumber || $0 == "." }
        }.map(String.init)
    }

    private static func cublasLt() -> Library {
        do throws(PowerAttentionError) {
            let library = try LibrarySearch().open(
                ["libcublasLt.so.13", "libcublasLt.so.12"], purpose: "matrix products of models",
                installation: "pip install nvidia-cublas, or the CUDA toolkit")
            let call: @convention(c) () -> Int = try library.function("cublasLtGetVersion")
            let version = call()
            let unit = version >= 100_000 ? 10_000 : 1_000
            return Library(
                name: "cuBLASLt", version: "\(version / unit).\(version % unit / 100).\(version % 100)", place: library.path)
        } catch {
            return Library(name: "cuBLASLt", version: nil, place: "\(error)")
        }
    }
}

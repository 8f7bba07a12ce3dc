import Foundation
package import Tensors

/// What this machine has for running on NVIDIA's cards. Describing it never fails: what is absent says so.
package struct CUDAInstallation: Sendable {
    package struct Library: Sendable {
        /// `libcuda`, `libnvrtc`, `libcublasLt`, `libcudnn`.
        package let name: String
        /// Where it was found, nil where it was not.
        package let path: String?
        /// `13.0`.
        package let version: String?
        /// Why it cannot be used.
        package let problem: PowerAttentionError?
    }

    package struct Cache: Sendable {
        package let folder: String
        package let entries: Int
        package let bytes: Int
    }

    package let cards: [DeviceProperties]
    /// Why there are no cards, or not all of them.
    package let problem: PowerAttentionError?
    /// The newest version of CUDA that the driver is made for.
    package let driverVersion: String?
    /// The release of the driver, `580.65.06`; nil where the system does not say.
    package let driverRelease: String?
    package let libraries: [Library]
    /// Compiled kernels on disk, nil where there is no folder for them.
    package let cache: Cache?

    /// Looks at this machine.
    package static func current(cache: KernelCache? = .standard()) -> CUDAInstallation { CUDAInstallation(cache: cache) }

    private init(cache: KernelCache?) {
        let driver = Self.library(.driver) { () throws(PowerAttentionError) in
            let (driver, library) = try Driver.loaded()
            let version = try driver.version()
            return (library.path, "\(version.major).\(version.minor)")
        }
        let compiler = Self.library(.compiler(preferring: nil)) { () throws(PowerAttentionError) in
            let (compiler, library) = try NVRTC.loaded()
            return (library.path, try compiler.versionText())
        }
        let products = Self.library(.matrixProducts(preferring: nil), Self.matrixProducts)
        let graphs = Self.library(.operationGraphs) { () throws(PowerAttentionError) in
            let (table, library) = try CUDNN.loaded()
            return (library.path, CUDNN.text(version: table.getVersion()))
        }
        libraries = [driver, compiler, products, graphs]
        driverVersion = driver.version
        driverRelease = (try? String(contentsOfFile: "/sys/module/nvidia/version", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
        (cards, problem) = Self.cards()
        self.cache = cache.map { cache in
            let usage = cache.usage
            return Cache(folder: cache.folder, entries: usage.entries, bytes: usage.bytes)
        }
    }

    private static func library(
        _ library: CUDALibrary, _ look: () throws(PowerAttentionError) -> (path: String, version: String)
    ) -> Library {
        do throws(PowerAttentionError) {
            let found = try look()
            return Library(name: library.title, path: found.path, version: found.version, problem: nil)
        } catch {
            return Library(name: library.title, path: nil, version: nil, problem: error)
        }
    }

    private static func matrixProducts() throws(PowerAttentionError) -> (path: String, version: String) {
        let library = try LibrarySearch().open(.matrixProducts(preferring: Driver.installedMajorVersion))
        let number = try library.function("cublasLtGetVersion", as: (@convention(c) @Sendable () -> Int).self)()
        // Major · 10000 + minor · 100 + patch.
        let parts = [number / 10_000, number / 100 % 100, number % 100]
        return (library.path, parts.map(String.init).joined(separator: "."))
    }

    private static func cards() -> ([DeviceProperties], PowerAttentionError?) {
        var cards: [DeviceProperties] = []
        do throws(PowerAttentionError) {
            let driver = try Driver.system()
            for ordinal in 0..<(try DeviceProperties.count(driver)) {
                cards.append(try DeviceProperties(driver, ordinal: ordinal))
            }
            return (cards, nil)
        } catch {
            return (cards, error)
        }
    }
}

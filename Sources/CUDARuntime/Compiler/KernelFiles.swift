import CUDAKernels
import Tensors

/// The sources of the kernels, which are part of the program.
enum KernelFiles {
    /// Texts by path.
    static let all: [String: String] = {
        let files = UnsafeBufferPointer(start: cuda_kernel_files(), count: cuda_kernel_file_count())
        return files.reduce(into: [:]) { result, file in
            let bytes = UnsafeRawBufferPointer(start: file.text, count: file.size)
            result[String(cString: file.path)] = String(decoding: bytes, as: UTF8.self)
        }
    }()

    static func text(_ path: String) throws(PowerAttentionError) -> String {
        guard let text = all[path] else {
            throw PowerAttentionError(
                argument: "kernel", given: path, expected: "one of \(all.keys.sorted().joined(separator: ", "))")
        }
        return text
    }

    /// The paths of all files that a file includes, directly or through others, in alphabetical order.
    static func includes(of path: String) -> [String] {
        var found: Set<String> = []
        var open = [path]
        while let next = open.popLast() {
            for line in (all[next] ?? "").split(separator: "\n") where line.hasPrefix("#include \"") {
                let name = String(line.dropFirst(10).prefix { $0 != "\"" })
                if all[name] != nil, found.insert(name).inserted { open.append(name) }
            }
        }
        return found.sorted()
    }
}

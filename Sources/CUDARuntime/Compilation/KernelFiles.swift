import CUDAKernels

/// The source files of the kernels by their paths, as `#include` spells them.
package struct KernelFiles: Sendable {
    private let texts: [String: String]

    package init(_ texts: [String: String]) { self.texts = texts }

    /// The files that the package carries.
    package static let embedded: KernelFiles = {
        let files = UnsafeBufferPointer(start: cuda_kernel_files(), count: cuda_kernel_file_count())
        return KernelFiles(
            files.reduce(into: [:]) { texts, file in
                let bytes = UnsafeRawBufferPointer(start: file.text, count: file.size)
                texts[String(cString: file.path)] = String(decoding: bytes, as: UTF8.self)
            })
    }()

    package var paths: [String] { texts.keys.sorted() }

    package subscript(path: String) -> String? { texts[path] }

    /// The files that `path` includes, directly or through others, each once, in the order in which they are met.
    ///
    /// Every `#include "…"` counts, whatever `#if` is around it: a cached kernel is compiled again once too often, never once
    /// too rarely. Names that are none of these files are the compiler's to judge.
    package func headers(of path: String) -> [String] {
        var found: [String] = []
        var waiting = [path]
        while !waiting.isEmpty {
            let next = waiting.removeFirst()
            guard let text = texts[next] else { continue }
            for name in Self.includes(in: text) where name != path && texts[name] != nil && !found.contains(name) {
                found.append(name)
                waiting.append(name)
            }
        }
        return found
    }

    private static func includes(in text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            let line = line.drop { $0 == " " || $0 == "\t" }
            guard line.first == "#" else { return nil }
            let directive = line.dropFirst().drop { $0 == " " || $0 == "\t" }
            guard directive.hasPrefix("include") else { return nil }
            let parts = directive.split(separator: "\"", omittingEmptySubsequences: false)
            return parts.count >= 3 ? String(parts[1]) : nil
        }
    }
}

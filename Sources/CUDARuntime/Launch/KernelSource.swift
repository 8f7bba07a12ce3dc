/// One kernel as it is compiled: a file of the kernels' folder, the function in it, and the macros that fix its types and tiles.
package struct KernelSource: Sendable, Hashable, CustomStringConvertible {
    /// The path below the folder of the kernels, `attention/forward.cu`.
    package let path: String
    /// The name of the `extern "C"` function.
    package let function: String
    package let macros: [Macro]

    package struct Macro: Sendable, Hashable {
        package let name: String
        package let value: Int
    }

    package init(_ path: String, _ function: String, macros: [(String, Int)]) {
        self.path = path
        self.function = function
        self.macros = macros.map { Macro(name: $0.0, value: $0.1) }
    }

    package var description: String {
        "\(function)[" + macros.map { "\($0.name)=\($0.value)" }.joined(separator: " ") + "]"
    }
}

// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]
let cSettings: [CSetting] = [
    .treatAllWarnings(as: .error)
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let toml = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")

/// A library target of the package; all of them share one set of compiler settings.
func library(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

let package = Package(
    name: "power-attention",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "power", targets: ["power"]),
        .library(name: "PowerAttention", targets: ["PowerAttention"]),
        .library(name: "LanguageModel", targets: ["LanguageModel"]),
        .library(name: "Training", targets: ["Training"]),
        .library(name: "Inference", targets: ["Inference"]),
        .library(name: "Experiments", targets: ["Experiments"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        .target(name: "CKernels", cSettings: cSettings),
        .target(
            name: "CUDAKernels", exclude: ["attention", "common", "hopper", "layers", "prepare", "state"], cSettings: cSettings),
        library("Tensors", ["CKernels"]),
        library("BackendInterface", ["Tensors"]),
        library("CPUBackend", ["BackendInterface", "Tensors", "CKernels"]),
        library("CUDARuntime", ["CUDAKernels", "Tensors"]),
        library("CUDABackend", ["CUDARuntime", "BackendInterface", "Tensors"]),
        library("PowerAttention", ["BackendInterface", "CPUBackend", "CUDABackend", "CUDARuntime", "Tensors"]),
        library(
            "LanguageModel", ["PowerAttention", "BackendInterface", "Tensors"],
            resources: [.copy("Resources")]),
        library("Inference", ["LanguageModel", "PowerAttention", "Tensors"]),
        library(
            "Training",
            [
                "LanguageModel", "Inference", "PowerAttention", "CUDABackend", "CUDARuntime", "CPUBackend", "BackendInterface",
                "Tensors", logging,
            ]),
        library("Experiments", ["Training", "Inference", "LanguageModel", "PowerAttention", "Tensors"]),
        .plugin(name: "SourceCommitPlugin", capability: .buildTool(), path: "Plugins/SourceCommit"),
        .target(name: "SourceCommit", swiftSettings: swiftSettings, plugins: ["SourceCommitPlugin"]),
        .target(
            name: "Benchmarks",
            dependencies: [
                "Training", "LanguageModel", "PowerAttention", "CPUBackend", "CUDABackend", "CUDARuntime", "BackendInterface",
                "Tensors", "CKernels",
            ],
            path: "Benchmarks/Sources", swiftSettings: swiftSettings),
        .executableTarget(
            name: "power",
            dependencies: [
                "Benchmarks", "SourceCommit",
                "Experiments", "Training", "Inference", "LanguageModel", "PowerAttention", "CUDABackend", "CUDARuntime",
                "BackendInterface", "Tensors", argumentParser, logging, toml,
            ],
            swiftSettings: swiftSettings),

        .target(name: "TestSupport", dependencies: ["Tensors"], path: "Tests/TestSupport", swiftSettings: swiftSettings),
        tests("TensorsTests", ["Tensors", "TestSupport"]),
        tests("CPUBackendTests", ["CPUBackend", "BackendInterface", "Tensors", "CKernels"]),
        tests("CUDARuntimeTests", ["CUDARuntime", "CUDAKernels", "Tensors", "TestSupport"]),
        tests(
            "CUDABackendTests",
            ["PowerAttention", "CUDABackend", "CUDARuntime", "CPUBackend", "BackendInterface", "Tensors", "TestSupport"]),
        tests("PowerAttentionTests", ["PowerAttention", "BackendInterface", "CPUBackend", "Tensors", "TestSupport"]),
        tests(
            "LanguageModelTests",
            [
                "LanguageModel", "PowerAttention", "BackendInterface", "CPUBackend", "CUDABackend", "CUDARuntime", "Tensors",
                "TestSupport",
            ]),
        tests("InferenceTests", ["Inference", "LanguageModel", "PowerAttention", "Tensors"]),
        tests(
            "TrainingTests",
            [
                "Training", "Inference", "LanguageModel", "CUDABackend", "CPUBackend", "BackendInterface", "PowerAttention",
                "Tensors",
                "TestSupport", logging,
            ]),
        tests("ExperimentsTests", ["Experiments", "Training", "Tensors"]),
        tests(
            "CommandTests", ["power", "PowerAttention", "Training", "LanguageModel", "CUDABackend", "Tensors", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6]
)

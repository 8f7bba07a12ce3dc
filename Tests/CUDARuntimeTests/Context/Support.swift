import CUDARuntime
import Tensors

/// A context on a recording driver, with everything that opening it wrote down already read.
func recordedContext(_ recorder: RecordingDriver, _ compiler: PretendingCompiler = PretendingCompiler()) throws -> CUDAContext {
    let context = try CUDAContext(driver: recorder.driver, compiler: compiler.kernelCompiler(), ordinal: 0)
    _ = recorder.takeTrace()
    return context
}

func launch(
    _ arguments: [KernelArgument] = [], grid: KernelLaunch.Grid = .init(2, 3), threads: Int = 128, sharedBytes: Int = 0
) -> KernelLaunch {
    KernelLaunch(PretendingCompiler.kernel(), grid: grid, threads: threads, sharedBytes: sharedBytes, arguments: arguments)
}

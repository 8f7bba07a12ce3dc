/// Floating-point operations of one training step, by what they are spent on.
package struct StepCost: Sendable, Hashable {
    package let weightFLOPs, stateFLOPs: Double

    package var flops: Double { weightFLOPs + stateFLOPs }
}

/// The sizes in which memory of a card is asked for and reused.
enum SizeClass {
    /// The size of the block that holds `byteCount` bytes: whole 512 bytes, and eight sizes between powers of two, so that a
    /// block is at most an eighth larger than what it was asked for (beside the 512 bytes).
    static func rounded(_ byteCount: Int) -> Int {
        let granule = 512
        guard byteCount > 8 * granule else { return max(1, (byteCount + granule - 1) / granule) * granule }
        let power = Int.bitWidth - 1 - (byteCount - 1).leadingZeroBitCount
        let step = 1 << (power - 3)
        let (sum, overflow) = byteCount.addingReportingOverflow(step - 1)
        return overflow ? byteCount : sum / step * step
    }

    /// The largest idle block that may serve a request that is rounded to `size`: half as large again, or 64 KiB, which costs
    /// less than asking the driver.
    static func largestFit(_ size: Int) -> Int { max(size + size / 2, 64 * 1024) }
}

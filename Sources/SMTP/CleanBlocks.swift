extension UnsafeRawBufferPointer {
    /// Where the blocks from `start` on end in which each CR has an LF behind it, each LF has a CR before it, and no line
    /// begins with a dot. The byte at `start` is not looked at as an LF; at most two bytes behind the end are.
    func endOfCleanBlocks(from start: Int, to limit: Int) -> Int {
        typealias Block = SIMD16<UInt8>
        guard let base = baseAddress else { return start }
        let (cr, lf, dot) = (Block(repeating: ASCII.cr), Block(repeating: ASCII.lf), Block(repeating: ASCII.dot))
        var at = start
        while at &+ 66 <= limit {
            var odd = SIMDMask<Block.MaskStorage>(repeating: false)
            for step in 0..<4 {
                let block = base + (at &+ step &* 16)
                let isCR = block.loadUnaligned(as: Block.self) .== cr
                let isLF = (block + 1).loadUnaligned(as: Block.self) .== lf
                let isDot = (block + 2).loadUnaligned(as: Block.self) .== dot
                odd = odd .| (isCR .^ isLF) .| (isLF .& isDot)
            }
            let bits = unsafeBitCast(odd, to: SIMD2<UInt64>.self)
            if bits[0] | bits[1] != 0 { break }
            at &+= 64
        }
        return at
    }
}

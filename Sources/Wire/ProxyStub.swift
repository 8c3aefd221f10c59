struct ProxyProtocolDecoder {
    enum Decoded { case needBytes; case invalid(String); case header(consumed: Int, source: (address: String, port: Int)?, local: Bool) }
    func decode(_ bytes: UnsafeRawBufferPointer) -> Decoded { .needBytes }
}

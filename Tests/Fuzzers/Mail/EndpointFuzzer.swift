import Mail

/// An endpoint from any text: what is taken is written as a text that gives it again.
func fuzzEndpoint(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    guard let endpoint = Endpoint(text) else { return }
    switch endpoint {
    case .tcp(let host, let port):
        precondition(!host.isEmpty && (0...65535).contains(port), "\(endpoint)")
    case .unix(let path): precondition(path.hasPrefix("/") && endpoint.isLocal, "\(endpoint)")
    }
    precondition(Endpoint(endpoint.description) == endpoint, "\(text) came back as \(endpoint)")
}

import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// An answer that comes line by line for as long as its connection holds.
struct EtcdStream<Answer: Decodable> {
    let endpoint: String
    private let status: Int
    private var body: HTTPClientResponse.Body.AsyncIterator
    private var lines = LineAssembler(lineBytesMax: EtcdTransport.answerBytesMax)

    init(_ response: HTTPClientResponse, endpoint: String) {
        self.endpoint = endpoint
        status = Int(response.status.code)
        body = response.body.makeAsyncIterator()
    }

    /// What the next line says; nil when the member has ended its answer.
    mutating func next() async throws -> EtcdVerdict<Answer>? {
        while true {
            if let line = try lines.next() { return EtcdVerdict(status: status, line: line) }
            guard let chunk = try await body.next() else {
                // What a request that failed is answered with has no line end.
                return lines.rest().map { EtcdVerdict(status: status, line: $0) }
            }
            lines.append(chunk.readableBytesView)
        }
    }
}

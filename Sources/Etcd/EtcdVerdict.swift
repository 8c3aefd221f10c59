import FoundationEssentials

/// What an answer of one member means for the request.
enum EtcdVerdict<Answer> {
    case answered(Answer)
    /// Another member would say the same.
    case refused(EtcdError)
    /// This member cannot say it; another one may.
    case elsewhere(String)
    /// The same, and it may itself in a while: it is in trouble, or has no leader.
    case notNow(String)
}

extension EtcdVerdict where Answer: Decodable {
    /// A request with one answer.
    init(status: Int, body: [UInt8]) {
        guard status == 200 else {
            self = Self.failed(status: status, body: body)
            return
        }
        self = Self.decoded(Answer.self, body) { .answered($0) }
    }

    /// A line of an answer that streams; `status` is the whole answer's.
    init(status: Int, line: [UInt8]) {
        guard status == 200 else {
            self = Self.failed(status: status, body: line)
            return
        }
        self = Self.decoded(StreamLine<Answer>.self, line) { line in
            if let result = line.result { return .answered(result) }
            guard let error = line.error else { return .elsewhere("an answer without a result") }
            return .failed(code: error.code ?? 2, message: error.message ?? "")
        }
    }

    private static func decoded<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ verdict: (Value) -> Self
    ) -> Self {
        guard let value = try? JSONDecoder().decode(type, from: Data(bytes)) else {
            return .elsewhere("an answer that is not etcd's")
        }
        return verdict(value)
    }

    private static func failed(status: Int, body: [UInt8]) -> Self {
        guard let failure = try? JSONDecoder().decode(FailureAnswer.self, from: Data(body)) else {
            return .elsewhere("HTTP status \(status)")
        }
        return failed(code: failure.code, message: failure.message)
    }

    /// Codes of google.rpc.Code. Those of a member in trouble: cancelled 1, unknown 2, deadline exceeded 4, internal 13,
    /// unavailable 14, data loss 15.
    private static func failed(code: Int, message: String) -> Self {
        let text = String(message.prefix(200))
        return [1, 2, 4, 13, 14, 15].contains(code)
            ? .notNow(text.isEmpty ? "code \(code)" : text) : .refused(.refused(code: code, message: text))
    }
}

import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// Requests to etcd's JSON gateway: one member after the other until one answers, with a token where there is a user.
final class EtcdTransport: Sendable {
    /// A membership of a thousand nodes is about 200 KiB, and base64 adds a third.
    static let answerBytesMax = 8 << 20

    private let http: HTTPClient
    private let rotation: EndpointRotation
    private let timeout: Duration
    private let patience: Duration
    private let credentials: LoginRequest?
    private let token = Mutex<String?>(nil)

    init(_ settings: EtcdSettings, group: any EventLoopGroup) throws(EtcdError) {
        guard !settings.endpoints.isEmpty else { throw .settings("there is no endpoint of etcd") }
        rotation = EndpointRotation(settings.endpoints)
        timeout = settings.timeout
        patience = settings.patience
        credentials = settings.user.map { LoginRequest(name: $0, password: settings.password ?? "") }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: TimeAmount(settings.timeout), read: TimeAmount(settings.watchSilenceMax),
                write: TimeAmount(settings.timeout)))
        if settings.endpoints.contains(where: { $0.hasPrefix("https:") }) {
            configuration.tlsConfiguration = try settings.tlsConfiguration()
        }
        configuration.httpVersion = .http1Only
        // Another member is the better second attempt.
        configuration.connectionPool.retryConnectionEstablishment = false
        http = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    /// Ends all connections. Nothing may be asked afterwards.
    func shutdown() async {
        try? await http.shutdown()
    }

    /// Asks until a member answers, each member once; and again while one says that it cannot now, for as long as the
    /// settings have patience.
    func ask<Answer: Decodable & Sendable>(
        _ path: String, _ request: some Encodable, streams: Bool = false, as type: Answer.Type = Answer.self
    ) async throws(EtcdError) -> Answer {
        let body = try Self.encoded(request)
        do throws(EtcdError) {
            return try await askEach(path, body, streams)
        } catch  where error.asksForLogin && credentials != nil {
            try await logIn()
            return try await askEach(path, body, streams)
        }
    }

    /// Opens an answer that streams, at the member that answered last.
    func open<Answer: Decodable>(
        _ path: String, _ request: some Encodable, as type: Answer.Type = Answer.self
    ) async throws(EtcdError) -> EtcdStream<Answer> {
        let body = try Self.encoded(request)
        if credentials != nil, token.withLock({ $0 == nil }) { try await logIn() }
        let endpoint = rotation.current
        do {
            return EtcdStream(try await execute(endpoint, path, body), endpoint: endpoint)
        } catch {
            rotation.failed(endpoint)
            throw Self.failure(error, at: endpoint)
        }
    }

    /// The next request goes to another member.
    func leave(_ endpoint: String) { rotation.failed(endpoint) }

    func logIn() async throws(EtcdError) {
        guard let credentials else { return }
        token.withLock { $0 = nil }
        let answer: LoginAnswer = try await askEach("/v3/auth/authenticate", try Self.encoded(credentials), false)
        token.withLock { $0 = answer.token }
    }

    private func askEach<Answer: Decodable & Sendable>(
        _ path: String, _ body: [UInt8], _ streams: Bool
    ) async throws(EtcdError) -> Answer {
        let end = ContinuousClock.now + patience
        while true {
            let round: Round<Answer> = try await askAll(path, body, streams)
            switch round {
            case .answered(let answer): return answer
            case .failed(let reasons, let mayHelpToWait):
                guard mayHelpToWait, ContinuousClock.now < end else { throw .unavailable(reasons) }
            }
            try? await Task.sleep(for: Self.pause)
        }
    }

    private static let pause = Duration.milliseconds(200)

    /// What came of asking the members one after another.
    private enum Round<Answer: Sendable>: Sendable {
        case answered(Answer)
        /// None gave an answer, for these reasons.
        case failed([String], mayHelpToWait: Bool)
    }

    private func askAll<Answer: Decodable & Sendable>(
        _ path: String, _ body: [UInt8], _ streams: Bool
    ) async throws(EtcdError) -> Round<Answer> {
        var (reasons, mayHelpToWait): ([String], Bool) = ([], false)
        for _ in 0..<rotation.count {
            let endpoint = rotation.current
            let verdict: EtcdVerdict<Answer> = await self.verdict(endpoint, path, body, streams)
            if Task.isCancelled { throw .cancelled }
            switch verdict {
            case .answered(let answer): return .answered(answer)
            case .refused(let error): throw error
            case .elsewhere(let reason), .notNow(let reason):
                if case .notNow = verdict { mayHelpToWait = true }
                reasons.append("\(endpoint): \(reason)")
                rotation.failed(endpoint)
            }
        }
        return .failed(reasons, mayHelpToWait: mayHelpToWait)
    }

    private func verdict<Answer: Decodable & Sendable>(
        _ endpoint: String, _ path: String, _ body: [UInt8], _ streams: Bool
    ) async -> EtcdVerdict<Answer> {
        do {
            let (status, bytes) = try await within(timeout) {
                let response = try await self.execute(endpoint, path, body)
                let bytes = try await response.body.collect(upTo: Self.answerBytesMax)
                return (Int(response.status.code), Array(bytes.readableBytesView))
            }
            return streams ? EtcdVerdict(status: status, line: bytes) : EtcdVerdict(status: status, body: bytes)
        } catch {
            return error is TimedOut ? .notNow(Self.reason(error)) : .elsewhere(Self.reason(error))
        }
    }

    private func execute(_ endpoint: String, _ path: String, _ body: [UInt8]) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: endpoint + path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        // A member that has lost the others says so, instead of being silent for ever (etcd, rpctypes.MetadataRequireLeaderKey).
        request.headers.add(name: "Grpc-Metadata-hasleader", value: "true")
        if let token = token.withLock({ $0 }) { request.headers.add(name: "Authorization", value: token) }
        request.body = .bytes(body)
        return try await http.execute(request, timeout: TimeAmount(timeout))
    }

    private static func encoded(_ request: some Encodable) throws(EtcdError) -> [UInt8] {
        do {
            return Array(try JSONEncoder().encode(request))
        } catch {
            throw .settings("a request that cannot be written as JSON: \(error)")
        }
    }

    private static func failure(_ error: any Error, at endpoint: String) -> EtcdError {
        error is CancellationError || Task.isCancelled ? .cancelled : .unavailable(["\(endpoint): \(reason(error))"])
    }

    /// Whether the error says only that nothing came for a while.
    static func isSilence(_ error: any Error) -> Bool { (error as? HTTPClientError) == .readTimeout }

    static func reason(_ error: any Error) -> String {
        switch error {
        case is TimedOut: "no answer in time"
        case let error as HTTPClientError: error.shortDescription
        case is NIOTooManyBytesError: "an answer of more than \(answerBytesMax) octets"
        default: String("\(error)".prefix(200))
        }
    }
}

/// The time for something is over.
struct TimedOut: Error {}

/// Ends `body` by cancelling it when the time is over.
func within<Result: Sendable>(
    _ time: Duration, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: time)
            throw TimedOut()
        }
        defer { group.cancelAll() }
        guard let result = try await group.next() else { preconditionFailure("a group of two tasks without a result") }
        return result
    }
}

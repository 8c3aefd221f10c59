/// The end of a run in figures, for people and as JSON.
package struct LoadSummary: Sendable, Encodable {
    /// In milliseconds.
    package struct Latency: Sendable, Encodable {
        package let p50, p90, p99, maximum: Double

        init?(_ histogram: LatencyHistogram) {
            guard histogram.count > 0 else { return nil }
            p50 = histogram.quantile(0.5).milliseconds
            p90 = histogram.quantile(0.9).milliseconds
            p99 = histogram.quantile(0.99).milliseconds
            maximum = histogram.maximum.milliseconds
        }
    }

    /// `messages` or `sessions`: what `done` and `rate` count.
    package let unit: String
    package let seconds: Double
    package let done, failed, messages, octets, connections: Int
    /// Done a second.
    package let rate: Double
    package let messagesPerSecond, octetsPerSecond: Double
    package let latency, loginLatency, retrieveLatency: Latency?
    /// By reply code.
    package let errors: [String: Int]
    package let connectionTrouble: String?
    /// Asked for and never tried.
    package let notTried: Int

    package init(_ state: LoadTally.State, unit: String, count: Int?) {
        self.unit = unit
        seconds = state.elapsed.milliseconds / 1000
        done = state.succeeded
        failed = state.failed
        messages = state.messages
        octets = state.octets
        connections = state.connections
        let each = seconds > 0 ? 1 / seconds : 0
        rate = Double(state.succeeded) * each
        messagesPerSecond = Double(state.messages) * each
        octetsPerSecond = Double(state.octets) * each
        latency = Latency(state.latency)
        loginLatency = Latency(state.loginLatency)
        retrieveLatency = Latency(state.retrieveLatency)
        errors = state.errors
        connectionTrouble = state.connectionTrouble
        notTried = count.map { max(0, $0 - state.done) } ?? 0
    }

    /// Whether everything was done and nothing went wrong.
    package var isGood: Bool { failed == 0 && notTried == 0 && done > 0 }

    package var text: String {
        var lines = ["\(done) \(unit) in \(seconds.rounded(3)) s over \(connections) connections: \(rate.rounded(1))/s"]
        lines.append(
            "\(messages) messages, \(octets) octets: \(messagesPerSecond.rounded(1)) messages/s, "
                + "\((octetsPerSecond / 1_048_576).rounded(2)) MiB/s")
        let latencies = [("latency", latency), ("to the login's answer", loginLatency), ("RETR", retrieveLatency)]
        for case (let name, let latency?) in latencies {
            lines.append(
                "\(name): p50 \(latency.p50.rounded(3)) ms, p90 \(latency.p90.rounded(3)) ms, "
                    + "p99 \(latency.p99.rounded(3)) ms, max \(latency.maximum.rounded(3)) ms")
        }
        let reasons = errors.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        lines.append("errors: \(failed)\(failed > 0 ? " (\(reasons))" : "")")
        if notTried > 0 { lines.append("not tried: \(notTried)") }
        if let connectionTrouble { lines.append("connections failed: \(connectionTrouble)") }
        return lines.joined(separator: "\n")
    }
}

extension Duration {
    fileprivate var milliseconds: Double { Double(wholeNanoseconds) / 1_000_000 }
}

extension Double {
    /// As text, with so many digits behind the point at most.
    fileprivate func rounded(_ digits: Int) -> String {
        let factor = (0..<digits).reduce(1.0) { product, _ in product * 10 }
        return "\((self * factor).rounded() / factor)"
    }
}

import Testing

/// The real program, in the processes of the development cluster, with real clients. One suite at a time: each has a
/// cluster of seven processes.
@Suite("The whole cluster", .serialized, .timeLimit(.minutes(10)))
enum SystemTests {
    /// The cluster that the suite's trait made.
    static func cluster() throws -> TestCluster { try #require(TestCluster.current) }

    /// A message that shows what a client or a server may have changed: dots, spaces, 8-bit text.
    static func message(subject: String) -> String {
        "From: sender@example.org\r\nTo: reader@example.test\r\nSubject: \(subject)\r\n\r\n"
            + "First line\r\n.\r\n..dots\r\n trailing \r\nGrüße\r\n"
    }
}

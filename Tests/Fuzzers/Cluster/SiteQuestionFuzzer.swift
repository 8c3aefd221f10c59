import Cluster
import Mail

/// A site's questions and answers from any bytes: names that are taken are few and come back, an answer that is taken is about
/// as many things as were asked about and comes back, and what the owners' answers come to is an answer or a deferral.
func fuzzSiteQuestion(_ input: UnsafeRawBufferPointer) {
    if let names = SiteQuestion.names(Array(input)) {
        precondition((1...SiteQuestion.namesMax).contains(names.count), "\(names.count) names")
        precondition(SiteQuestion.names(SiteQuestion.text(names)) == names, "\(names) are lost")
    }
    let lines = String(decoding: input, as: UTF8.self).split(separator: "\n").prefix(8)
    let count = input.count % (SiteQuestion.namesMax + 1)
    let verdicts = lines.map { Verdict.refused(Reason(550, "5.2.0", String($0))) }
    for verdict in verdicts {
        guard let answer = SiteAnswer(verdict, count: count) else { continue }
        precondition(answer.lacks.count == count, "\(answer.lacks.count) answers for \(count)")
        precondition(SiteAnswer(answer.verdict, count: count) == answer, "\(answer) is lost")
    }
    guard !verdicts.isEmpty else { return }
    var answers = SiteAnswers(owners: verdicts.count, quorum: 1 + count % verdicts.count, count: count)
    for verdict in verdicts { answers.answered(verdict) }
    guard let verdict = answers.verdict else { preconditionFailure("all have answered, and nothing is known") }
    if case .deferred = verdict { return }
    precondition(SiteAnswer(verdict, count: count) != nil, "\(verdict) is no answer")
}

import Experiments
import Testing

@Suite struct MarkupTests {
    @Test(arguments: [
        ("plain", "plain"),
        ("<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
        ("a & b \"c\"", "a &amp; b &quot;c&quot;"),
        ("tab\tline\n", "tab\tline\n"),
        ("bell\u{7} escape\u{1B} null\u{0}", "bell\u{FFFD} escape\u{FFFD} null\u{FFFD}"),
        ("\u{FFFF}\u{FFFE}\u{85}", "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ("漢字 🙂 e\u{301}", "漢字 🙂 e\u{301}"),
        ("\r\n", "\u{FFFD}\n"),
    ])
    func escaping(text: String, expected: String) {
        #expect(Markup.escaped(text) == expected)
        #expect(("<p>\(text)</p>" as Markup).text == "<p>\(expected)</p>")
    }

    @Test func piecesAreNotEscapedTwice() {
        let inner: Markup = "<b>\("&")</b>"
        #expect(("<p>\(inner)\([inner, inner])\(3)</p>" as Markup).text == "<p><b>&amp;</b><b>&amp;</b><b>&amp;</b>3</p>")
    }
}

@Suite struct NumberFormatTests {
    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "−1,234,567"), (.min, "−9,223,372,036,854,775,808"),
    ])
    func grouped(value: Int, expected: String) { #expect(NumberFormat.grouped(value) == expected) }

    @Test(arguments: [
        (1.0, 3, "1.000"), (-0.0004, 3, "0.000"), (-0.05, 2, "−0.05"), (12345.678, 1, "12,345.7"), (1e300, 0, nil as String?),
    ])
    func fixed(value: Double, digits: Int, expected: String?) {
        let text = NumberFormat.fixed(value, digits: digits)
        if let expected { #expect(text == expected) } else { #expect(!text.isEmpty) }
    }

    @Test(arguments: [
        (0.0, "0"), (7, "7"), (12.34, "12.3"), (999.4, "999"), (999.6, "1.00 k"), (1_234_567, "1.23 M"), (99.96e6, "100 M"),
        (1.03e14, "103 T"), (4.2e30, "4,200,000 Y"),
    ])
    func compact(value: Double, expected: String) {
        #expect(NumberFormat.compact(value) == expected.replacing(" ", with: "\u{A0}"))
    }

    @Test(arguments: [
        (0.0, "0.0 s"), (9.94, "9.9 s"), (38.2, "38 s"), (59.7, "1 min 00 s"), (252, "4 min 12 s"), (11_100, "3 h 05 min"),
        (187_200, "2 d 4 h"),
    ])
    func duration(value: Double, expected: String) {
        #expect(NumberFormat.duration(value) == expected.replacing(" ", with: "\u{A0}"))
    }

    @Test(arguments: [
        ("learning_rate", "learning rate"), ("keyValueHeads", "key value heads"), ("mlp", "mlp"), ("beta1", "beta1"),
    ])
    func words(key: String, expected: String) { #expect(NumberFormat.words(key) == expected) }

    @Test(arguments: [
        (3.0, "3"), (0.0003, "0.0003"), (1e-8, "1e-08"), (6.906768, "6.906768"), (10_000, "10,000"), (1e300, "1e+300"),
    ])
    func general(value: Double, expected: String) { #expect(NumberFormat.general(value) == expected) }
}

using System.Net;
using System.Text.Json;
using CsCheck;
using Mesh.Config;
using Mesh.Policy;
using Mesh.Traffic;

namespace Mesh.Core.Tests.Policy;

/// <summary>Random policies and requests out of few words, so that they meet often.</summary>
internal static class RbacGen
{
    private static readonly string[] _texts =
    [
        "", "/", "/a", "/A", "/a/", "/a/b", "/ab", "GET", "get", "POST", "a", "b", "a,b", "7", "catalog", "CATALOG",
        "spiffe://d/ns/shop/sa/web", "spiffe://d/ns/shop/sa/cart", "spiffe://d/ns/shop/", "web.shop", "CN=web",
    ];

    private static readonly string[] _headers = [":method", ":path", ":authority", "host", "te", "x-a", "x-b", "x-c-bin"];

    private static readonly JsonElement[] _tokens =
        [.. new[] { """{"sub":"a","groups":["a","b"],"admin":true}""", """{"sub":"b","groups":[],"admin":false,"deep":{"er":"a"}}""", """{"sub":null,"groups":"a"}""" }.Select(t => JsonElement.Parse(t))];

    private static readonly Gen<string> _text = Gen.Int[0, _texts.Length - 1].Select(i => _texts[i]);

    // Made once: compiling expressions would be most of the test's time.
    private static readonly StringMatcher[] _expressions = [.. _texts.Select(t => new StringMatcher(StringMatchKind.Regex, System.Text.RegularExpressions.Regex.Escape(t) + "(/.*)?"))];

    private static readonly Gen<StringMatcher> _matcher = Gen.Select(Gen.Int[0, 4], Gen.Int[0, _texts.Length - 1], Gen.Bool).Select((kind, text, ignoreCase) =>
        kind == 4 ? _expressions[text] : new StringMatcher((StringMatchKind)kind, _texts[text], ignoreCase));

    private static readonly Gen<RbacCondition> _header = Gen.Select(Gen.Int[0, 2], Gen.Int[0, _headers.Length - 1], _matcher, Gen.Bool, Gen.Bool).Select((kind, name, text, invert, empty) =>
        (RbacCondition)new RbacCondition.Header(new HeaderMatcher(_headers[name], (HeaderMatchKind)kind, text, 5, 9, invert, empty)));

    private static readonly Gen<ValueMatcher> _value = Gen.Select(Gen.Int[0, 4], _matcher, Gen.Bool).Select((kind, text, flag) => (ValueMatcher)(kind switch
    {
        0 => new ValueMatcher.Text(text),
        1 => new ValueMatcher.Boolean(flag),
        2 => new ValueMatcher.Present(),
        3 => new ValueMatcher.OneOf(new ValueMatcher.Text(text)),
        _ => new ValueMatcher.AnyOf([new ValueMatcher.Text(text), new ValueMatcher.OneOf(new ValueMatcher.Text(text))]),
    }));

    private static readonly Gen<RbacCondition> _claim = Gen.Select(Gen.Int[0, 4], _value, Gen.Bool, Gen.Int[0, 5]).Select((path, value, invert, filter) => (RbacCondition)new RbacCondition.Metadata(
        filter == 0 ? "other" : VerifiedClaims.Filter, new[] { ["p", "sub"], ["p", "groups"], ["p", "admin"], ["p", "deep", "er"], new[] { "q", "sub" } }[path], value, invert));

    private static readonly string[] _ranges = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0", "fd00::/8", "::ffff:10.1.0.0/112", "127.0.0.1/32"];

    private static readonly Gen<AddressRange> _range = Gen.Int[0, _ranges.Length - 1].Select(i => Range(_ranges[i]));

    private static readonly Gen<RbacCondition> _leaf = Gen.Select(Gen.Int[0, 11], _header, _claim, _matcher, _range, Gen.Int[79, 82]).Select((kind, header, claim, text, range, port) => kind switch
    {
        0 => new RbacCondition.Always(),
        1 or 2 => header,
        3 => claim,
        4 or 5 => new RbacCondition.Path(text),
        6 => new RbacCondition.Source(range),
        7 => new RbacCondition.Destination(range),
        8 => new RbacCondition.DestinationPort(80, port < 80 ? 80 : port),
        9 => new RbacCondition.Authenticated(null),
        10 => new RbacCondition.Authenticated(text),
        _ => (RbacCondition)new RbacCondition.ServerName(text),
    });

    private static readonly Gen<RbacCondition> _tree = Gen.Select(Gen.Int[0, 9], _leaf, _leaf, _leaf).Select((kind, a, b, c) => kind switch
    {
        0 => new RbacCondition.AllOf([a, b]),
        1 => new RbacCondition.AnyOf([a, b, c]),
        2 => new RbacCondition.Not(a),
        3 => new RbacCondition.Not(new RbacCondition.AllOf([a, new RbacCondition.Not(b)])),
        4 => new RbacCondition.AllOf([new RbacCondition.AnyOf([a, b]), c]),
        _ => a,
    });

    private static readonly Gen<RbacPolicy> _policy = Gen.Select(Gen.Int[0, 40], _tree.Array[1, 2], _tree.Array[1, 2]).Select((name, permissions, principals) => new RbacPolicy($"rule-{name}", permissions, principals));

    public static Gen<RbacRules> Rules { get; } = Gen.Select(Gen.Int[0, 5], _policy.Array[0, 12]).Select((action, policies) =>
        new RbacRules(action switch { 0 => RbacAction.Log, 1 or 2 => RbacAction.Deny, _ => RbacAction.Allow }, [.. policies.DistinctBy(p => p.Name).OrderBy(p => p.Name, StringComparer.Ordinal)]));

    private static readonly Gen<string> _line = Gen.Int[0, 5].Select(i => new[] { "a", "b", "a,b", "7", "8, a", "" }[i]);

    private static readonly Gen<FakeHead> _head = Gen.Select(
        Gen.Int[0, 3], _text.Where(t => t.StartsWith('/')), Gen.Bool, _line.Array[1, 3], Gen.Bool).Select((method, path, upper, lines, has) => new FakeHead(
            new[] { "GET", "get", "POST", "PATCH" }[method], path, upper ? "CATALOG" : "catalog", has ? [("x-a", lines), ("te", ["a"]), ("x-c-bin", ["a"])] : [("x-b", lines)]));

    private static readonly RbacCaller?[] _callers =
    [
        null, new(["spiffe://d/ns/shop/sa/web"], ["web.shop"], "CN=web"), new(["spiffe://d/ns/shop/sa/cart"], [], ""), new([], ["web.shop", "a"], "CN=web"), new([], [], "CN=web"), new([], [], ""),
    ];

    private static readonly IPAddress?[] _addresses = [null, .. new[] { "10.1.2.3", "::ffff:10.1.2.3", "10.2.0.1", "127.0.0.1", "fd00::1", "::1" }.Select(IPAddress.Parse)];

    public static Gen<RbacRequest> Request { get; } = Gen.Select(
        _head, Gen.Int[0, _callers.Length - 1], Gen.Int[0, _addresses.Length - 1], Gen.Int[0, _tokens.Length], Gen.Int[79, 82]).Select((head, caller, address, token, port) => new RbacRequest(
            head,
            new RbacConnection(_callers[caller], _addresses[address], new IPEndPoint(IPAddress.Parse("10.1.0.9"), port)),
            token == _tokens.Length ? VerifiedClaims.None : new VerifiedClaims(new Dictionary<string, JsonElement> { ["p"] = _tokens[token] })));

    public static AddressRange Range(string cidr)
    {
        var slash = cidr.IndexOf('/', StringComparison.Ordinal);
        return AddressRange.TryCreate(cidr[..slash], uint.Parse(cidr[(slash + 1)..], System.Globalization.CultureInfo.InvariantCulture), out var range) ? range : throw new FormatException(cidr);
    }
}

using Google.Protobuf.Collections;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Traffic;
using Matchers = Mesh.Protos.Envoy.Matcher;
using Wire = Mesh.Protos.Envoy.Rbac;

namespace Mesh.Xds.Decoding;

/// <summary>The conditions of RBAC policies (gRFC A41). Not thread-safe: lives for one filter, and counts what that costs.</summary>
/// <param name="isConnection">Of a network filter: there is no request to look at.</param>
/// <param name="filterPath">Where the filter stands.</param>
internal sealed class RbacConditionDecoder(bool isConnection, string filterPath, DecodeErrors errors)
{
    /// <summary>In one filter, each part of a tree counted.</summary>
    public const int MaxConditions = 200_000;

    /// <summary>In one filter: each may cost every request a look.</summary>
    public const int MaxRegexes = 1_024;

    /// <summary>In one filter, all together.</summary>
    public const int MaxRegexCharacters = 65_536;

    // Wrong parts stay in the tree as this, so that all errors are found; a filter with errors is not used.
    private static readonly RbacCondition _wrong = new RbacCondition.AnyOf([]);
    private int _conditions;
    private int _regexes;
    private int _regexCharacters;

    public IReadOnlyList<RbacCondition> All<T>(RepeatedField<T> given, Func<T, string, RbacCondition> decode, string path)
    {
        var all = new List<RbacCondition>(given.Count);
        for (var i = 0; i < given.Count; i++)
        {
            if (++_conditions > MaxConditions)
            {
                if (_conditions == MaxConditions + 1)
                {
                    errors.Add(filterPath, $"has more than {MaxConditions} conditions", "Use fewer.");
                }

                break;
            }

            all.Add(decode(given[i], $"{path}[{i}]"));
        }

        return all;
    }

    public RbacCondition Permission(Wire.Permission given, string path)
    {
        switch (given.RuleCase)
        {
            case Wire.Permission.RuleOneofCase.AndRules:
                return new RbacCondition.AllOf(Some(given.AndRules.Rules, Permission, $"{path}.and_rules.rules"));
            case Wire.Permission.RuleOneofCase.OrRules:
                return new RbacCondition.AnyOf(Some(given.OrRules.Rules, Permission, $"{path}.or_rules.rules"));
            case Wire.Permission.RuleOneofCase.NotRule:
                return new RbacCondition.Not(Permission(given.NotRule, $"{path}.not_rule"));
            case Wire.Permission.RuleOneofCase.Any:
                return Any(given.Any, path);
            case Wire.Permission.RuleOneofCase.Header:
                return Header(given.Header, $"{path}.header");
            case Wire.Permission.RuleOneofCase.UrlPath:
                return UrlPath(given.UrlPath, $"{path}.url_path");
            case Wire.Permission.RuleOneofCase.Metadata:
                return Metadata(given.Metadata, $"{path}.metadata");
            case Wire.Permission.RuleOneofCase.DestinationIp:
                return Range(given.DestinationIp, $"{path}.destination_ip") is { } to ? new RbacCondition.Destination(to) : _wrong;
            case Wire.Permission.RuleOneofCase.DestinationPort:
                if (given.DestinationPort > 65_535)
                {
                    errors.Add($"{path}.destination_port", $"is {given.DestinationPort}", "Use 0–65535.");
                    return _wrong;
                }

                return new RbacCondition.DestinationPort((int)given.DestinationPort, (int)given.DestinationPort);
            case Wire.Permission.RuleOneofCase.DestinationPortRange:
                var (start, end) = (given.DestinationPortRange.Start, given.DestinationPortRange.End);
                if (start < 0 || end > 65_536 || end <= start)
                {
                    errors.Add($"{path}.destination_port_range", $"is [{start}, {end})", "Use ports of 0–65535; the end is the first one outside.");
                    return _wrong;
                }

                return new RbacCondition.DestinationPort(start, end - 1);
            case Wire.Permission.RuleOneofCase.RequestedServerName:
                return Text(given.RequestedServerName, $"{path}.requested_server_name") is { } name ? new RbacCondition.ServerName(name) : _wrong;
            default:
                errors.Add(path, "has no rule that is known here", "Set one of any, and_rules, or_rules, not_rule, header, url_path, destination_ip, destination_port, destination_port_range, metadata, requested_server_name.");
                return _wrong;
        }
    }

    public RbacCondition Principal(Wire.Principal given, string path)
    {
        switch (given.IdentifierCase)
        {
            case Wire.Principal.IdentifierOneofCase.AndIds:
                return new RbacCondition.AllOf(Some(given.AndIds.Ids, Principal, $"{path}.and_ids.ids"));
            case Wire.Principal.IdentifierOneofCase.OrIds:
                return new RbacCondition.AnyOf(Some(given.OrIds.Ids, Principal, $"{path}.or_ids.ids"));
            case Wire.Principal.IdentifierOneofCase.NotId:
                return new RbacCondition.Not(Principal(given.NotId, $"{path}.not_id"));
            case Wire.Principal.IdentifierOneofCase.Any:
                return Any(given.Any, path);
            case Wire.Principal.IdentifierOneofCase.Authenticated:
                if (given.Authenticated.PrincipalName is not { } name)
                {
                    return new RbacCondition.Authenticated(null);
                }

                return Text(name, $"{path}.authenticated.principal_name") is { } text ? new RbacCondition.Authenticated(text) : _wrong;

            // The three differ by proxies in between, and there is none (gRFC A41).
            case Wire.Principal.IdentifierOneofCase.SourceIp:
                return Source(given.SourceIp, $"{path}.source_ip");
            case Wire.Principal.IdentifierOneofCase.DirectRemoteIp:
                return Source(given.DirectRemoteIp, $"{path}.direct_remote_ip");
            case Wire.Principal.IdentifierOneofCase.RemoteIp:
                return Source(given.RemoteIp, $"{path}.remote_ip");
            case Wire.Principal.IdentifierOneofCase.Header:
                return Header(given.Header, $"{path}.header");
            case Wire.Principal.IdentifierOneofCase.UrlPath:
                return UrlPath(given.UrlPath, $"{path}.url_path");
            case Wire.Principal.IdentifierOneofCase.Metadata:
                return Metadata(given.Metadata, $"{path}.metadata");
            default:
                errors.Add(path, "has no identifier that is known here", "Set one of any, and_ids, or_ids, not_id, authenticated, source_ip, direct_remote_ip, remote_ip, header, url_path, metadata.");
                return _wrong;
        }
    }

    private IReadOnlyList<RbacCondition> Some<T>(RepeatedField<T> given, Func<T, string, RbacCondition> decode, string path)
    {
        if (given.Count == 0)
        {
            errors.Add(path, "is empty", "List at least one.");
        }

        return All(given, decode, path);
    }

    private RbacCondition Any(bool any, string path)
    {
        if (any)
        {
            return new RbacCondition.Always();
        }

        errors.Add($"{path}.any", "is false", "Use true, or leave the whole entry out.");
        return _wrong;
    }

    private RbacCondition Header(Protos.Envoy.Route.HeaderMatcher given, string path)
    {
        if (OfRequest(path) || MatcherDecoder.Header(given, path, errors) is not { } header)
        {
            return _wrong;
        }

        if (header.Name == ":scheme" || header.Name.StartsWith("grpc-", StringComparison.Ordinal))
        {
            errors.Add($"{path}.name", $"is '{given.Name}'", "Rules cannot see ':scheme' nor names that start with 'grpc-' (gRFC A41).");
            return _wrong;
        }

        return Counted(header.Text, path) ? new RbacCondition.Header(header) : _wrong;
    }

    private RbacCondition UrlPath(Matchers.PathMatcher given, string path)
    {
        if (OfRequest(path))
        {
            return _wrong;
        }

        return Text(given.RuleCase == Matchers.PathMatcher.RuleOneofCase.Path ? given.Path : null, $"{path}.path") is { } text ? new RbacCondition.Path(text) : _wrong;
    }

    private RbacCondition Metadata(Matchers.MetadataMatcher given, string path)
    {
        if (OfRequest(path))
        {
            return _wrong;
        }

        if (given.Filter.Length == 0)
        {
            errors.Add($"{path}.filter", "is empty", "Name the filter that writes the metadata, such as envoy.filters.http.jwt_authn.");
        }

        if (given.Path.Count == 0)
        {
            errors.Add($"{path}.path", "is empty", "Give the keys that lead to the value.");
        }

        for (var i = 0; i < given.Path.Count; i++)
        {
            if (given.Path[i].Key.Length == 0)
            {
                errors.Add($"{path}.path[{i}].key", "is empty", "Give the key.");
            }
        }

        return Value(given.Value, $"{path}.value") is { } value
            ? new RbacCondition.Metadata(given.Filter, [.. given.Path.Select(s => s.Key)], value, given.Invert)
            : _wrong;
    }

    private ValueMatcher? Value(Matchers.ValueMatcher? given, string path)
    {
        switch (given?.MatchPatternCase)
        {
            case Matchers.ValueMatcher.MatchPatternOneofCase.StringMatch:
                return Text(given.StringMatch, $"{path}.string_match") is { } text ? new ValueMatcher.Text(text) : null;
            case Matchers.ValueMatcher.MatchPatternOneofCase.BoolMatch:
                return new ValueMatcher.Boolean(given.BoolMatch);
            case Matchers.ValueMatcher.MatchPatternOneofCase.PresentMatch when given.PresentMatch:
                return new ValueMatcher.Present();
            case Matchers.ValueMatcher.MatchPatternOneofCase.PresentMatch:
                errors.Add($"{path}.present_match", "is false, which never matches", "Use true, with invert for 'absent'.");
                return null;
            case Matchers.ValueMatcher.MatchPatternOneofCase.ListMatch:
                return Value(given.ListMatch.MatchPatternCase == Matchers.ListMatcher.MatchPatternOneofCase.OneOf ? given.ListMatch.OneOf : null, $"{path}.list_match.one_of") is { } element
                    ? new ValueMatcher.OneOf(element)
                    : null;
            case Matchers.ValueMatcher.MatchPatternOneofCase.OrMatch:
                return Values(given.OrMatch.ValueMatchers, $"{path}.or_match.value_matchers");
            default:
                errors.Add(path, "has no condition that is known here", "Set one of string_match, bool_match, present_match, list_match, or_match.");
                return null;
        }
    }

    private ValueMatcher.AnyOf? Values(RepeatedField<Matchers.ValueMatcher> given, string path)
    {
        if (given.Count < 2)
        {
            errors.Add(path, $"has {given.Count} entries", "List at least two.");
        }

        var all = new List<ValueMatcher>(given.Count);
        for (var i = 0; i < given.Count; i++)
        {
            if (++_conditions > MaxConditions)
            {
                errors.Add(filterPath, $"has more than {MaxConditions} conditions", "Use fewer.");
                return null;
            }

            if (Value(given[i], $"{path}[{i}]") is { } value)
            {
                all.Add(value);
            }
        }

        return new ValueMatcher.AnyOf(all);
    }

    private RbacCondition Source(CidrRange given, string path) => Range(given, path) is { } range ? new RbacCondition.Source(range) : _wrong;

    private AddressRange? Range(CidrRange given, string path)
    {
        if (AddressRange.TryCreate(given.AddressPrefix, given.PrefixLen ?? 0, out var range))
        {
            return range;
        }

        errors.Add(path, $"is '{given.AddressPrefix}/{given.PrefixLen ?? 0}'", "Use an IP address and a length of at most 32 (IPv4) or 128 (IPv6), such as 10.0.0.0/8.");
        return null;
    }

    private StringMatcher? Text(Matchers.StringMatcher? given, string path) =>
        MatcherDecoder.Text(given, path, errors) is { } text && Counted(text, path) ? text : null;

    /// <summary>Expressions are many or long by mistake, or to keep this process busy.</summary>
    private bool Counted(StringMatcher? text, string path)
    {
        if (text?.Kind != StringMatchKind.Regex)
        {
            return true;
        }

        _regexes++;
        _regexCharacters += text.Text.Length;
        if (_regexes <= MaxRegexes && _regexCharacters <= MaxRegexCharacters)
        {
            return true;
        }

        errors.Add(path, $"is regular expression number {_regexes} of its filter, of {_regexCharacters} characters in all", $"Use at most {MaxRegexes} and {MaxRegexCharacters} characters, or exact, prefix and suffix.");
        return false;
    }

    private bool OfRequest(string path)
    {
        if (isConnection)
        {
            errors.Add(path, "asks for something of a request", "A network filter judges connections: use principal names, addresses and ports.");
        }

        return isConnection;
    }
}

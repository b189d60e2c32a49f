using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Mesh.Transparent.Interception;

namespace Mesh.Transparent.Commands;

/// <summary>A command's options, each from the command line or else from the environment; all that is wrong with them is said at once.</summary>
/// <remarks>By hand: a library for command lines would be a tenth of the image.</remarks>
internal sealed class CommandArguments
{
    private const int MostEntries = 256;
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private readonly Func<string, string?> _environment;

    /// <param name="switches">Options without a value.</param>
    /// <param name="values">Options with one, as the next argument or after '='. Given several times they are a list.</param>
    public CommandArguments(IReadOnlyList<string> arguments, Func<string, string?> environment, string[] switches, string[] values, bool takesCommand = false)
    {
        _environment = environment;
        for (var i = 0; i < arguments.Count; i++)
        {
            var argument = arguments[i];
            if (argument == "--" && takesCommand)
            {
                Command = [.. arguments.Skip(i + 1)];
                return;
            }

            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? argument : argument[..equals];
            if (name is "--help" or "-h")
            {
                Help = true;
            }
            else if (switches.Contains(name))
            {
                Add(name, equals < 0 ? "true" : argument[(equals + 1)..]);
            }
            else if (!values.Contains(name))
            {
                _problems.Add($"'{argument}' is not known here{(takesCommand && !name.StartsWith('-') ? ": write -- before the command to run" : "")}. See --help.");
            }
            else if (equals >= 0 || i + 1 < arguments.Count)
            {
                Add(name, equals >= 0 ? argument[(equals + 1)..] : arguments[++i]);
            }
            else
            {
                _problems.Add($"{name} has no value.");
            }
        }
    }

    public bool Help { get; }

    /// <summary>What stands behind <c>--</c>.</summary>
    public IReadOnlyList<string> Command { get; } = [];

    public IReadOnlyList<string> Problems => _problems;

    public void Problem(string problem) => _problems.Add(problem);

    public bool Switch(string name, string variable)
    {
        var (text, source) = Find(name, variable);
        switch (text?.ToLowerInvariant())
        {
            case null or "false" or "0":
                return false;
            case "true" or "1":
                return true;
            default:
                _problems.Add($"{source} '{text}' is neither true nor false.");
                return false;
        }
    }

    public string? Text(string name, string variable) => Find(name, variable).Text;

    public uint? Id(string name, string variable)
    {
        var (text, source) = Find(name, variable);
        if (text is null)
        {
            return null;
        }

        // The last one means "no user" to the kernel.
        if (uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id != uint.MaxValue)
        {
            return id;
        }

        _problems.Add($"{source} '{text}' is not the number of a user or group. Give 0-4294967294.");
        return null;
    }

    public ushort? Port(string name, string variable)
    {
        var (text, source) = Find(name, variable);
        if (text is null)
        {
            return null;
        }

        if (ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port != 0)
        {
            return port;
        }

        _problems.Add($"{source} '{text}' is not a port. Give 1-65535.");
        return null;
    }

    public IReadOnlyList<PortRange> Ports(string name, string variable) => List(name, variable, "ports", (source, text) =>
    {
        if (PortRange.TryParse(text, out var range, out var problem))
        {
            return range;
        }

        _problems.Add($"{source} '{text}' {problem}");
        return default;
    });

    public IReadOnlyList<IPNetwork> Subnets(string name, string variable) => List(name, variable, "subnets", (source, text) =>
    {
        if (Subnet(text) is { } subnet)
        {
            return subnet;
        }

        _problems.Add(text.EndsWith("/0", StringComparison.Ordinal)
            ? $"{source} '{text}' is everything: nothing would be redirected. Leave 'mesh-proxy init' out, or give smaller subnets."
            : $"{source} '{text}' is not a subnet. Give an address and the length of its prefix, as in 10.0.0.0/8, fd00::/8 or 192.0.2.1 (one address).");
        return default;
    });

    public TimeSpan Duration(string name, string variable, TimeSpan otherwise)
    {
        var (text, source) = Find(name, variable);
        if (text is null)
        {
            return otherwise;
        }

        if (Durations.TryParse(text, out var duration))
        {
            return duration;
        }

        _problems.Add($"{source} '{text}' is not a time. Give a number with its unit, up to 24h: 500ms, 10s, 2m, 1h.");
        return otherwise;
    }

    private static IPNetwork? Subnet(string text)
    {
        if (!IPNetwork.TryParse(text, out var network))
        {
            if (!IPAddress.TryParse(text, out var address) || !HasOnlyAddressForm(text))
            {
                return null;
            }

            // One address.
            network = new IPNetwork(address, address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128);
        }

        // With a prefix of 0 nothing would be redirected; a mapped or scoped address is never on the wire.
        return network.PrefixLength == 0 || network.BaseAddress.IsIPv4MappedToIPv6 || text.Contains('%', StringComparison.Ordinal) ? null : network;
    }

    // IPAddress.TryParse takes "10" and "10.1" too, for 0.0.0.10 and 10.0.0.1: hardly what was meant.
    private static bool HasOnlyAddressForm(string text) => text.Contains(':', StringComparison.Ordinal) || text.Count('.') == 3;

    private List<T> List<T>(string name, string variable, string what, Func<string, string, T> read)
    {
        var (text, source) = Find(name, variable);
        var entries = (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (entries.Length > MostEntries)
        {
            _problems.Add(string.Create(CultureInfo.InvariantCulture, $"{source} lists {entries.Length} {what}; at most {MostEntries} are taken. Join them to ranges."));
            return [];
        }

        return [.. entries.Distinct().Select(entry => read(source, entry))];
    }

    private (string? Text, string Source) Find(string name, string variable) =>
        _values.TryGetValue(name, out var value) ? (value, name)
        : _environment(variable) is { Length: > 0 } set ? (set, variable)
        : (null, name);

    private void Add(string name, string value) => _values[name] = _values.TryGetValue(name, out var earlier) ? $"{earlier},{value}" : value;
}

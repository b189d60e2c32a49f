using System.Collections.Immutable;
using System.Net;

namespace Mesh.ControlPlane.Sources;

/// <summary>Looks host names up (slices with <c>addressType: FQDN</c>).</summary>
internal interface IHostNameResolver
{
    /// <exception cref="System.Net.Sockets.SocketException">The name is unknown or no server answers.</exception>
    Task<IReadOnlyList<IPAddress>> ResolveAsync(string name, CancellationToken cancellationToken);
}

/// <summary>The operating system's resolver.</summary>
internal sealed class SystemHostNameResolver : IHostNameResolver
{
    public async Task<IReadOnlyList<IPAddress>> ResolveAsync(string name, CancellationToken cancellationToken) =>
        await Dns.GetHostAddressesAsync(name, cancellationToken);
}

/// <summary>The addresses of some names: the last good ones while a name cannot be resolved.</summary>
/// <remarks>Not thread-safe: owned by the source's loop; looking up touches no state.</remarks>
internal sealed class HostNameTable
{
    private readonly Dictionary<string, ImmutableArray<string>> _addresses = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _failures = new(StringComparer.Ordinal);

    public ImmutableArray<string> AddressesOf(string name) => _addresses.GetValueOrDefault(name, []);

    /// <summary>Why a name has no current addresses; null when it has, or was not asked yet.</summary>
    public string? FailureOf(string name) => _failures.GetValueOrDefault(name);

    /// <returns>True when addresses or failures changed.</returns>
    public bool Apply(IEnumerable<HostNameAnswer> answers, IReadOnlySet<string> wanted)
    {
        var changed = false;
        foreach (var answer in answers)
        {
            if (answer.Failure is { } failure)
            {
                changed |= _failures.GetValueOrDefault(answer.Name) != failure;
                _failures[answer.Name] = failure;
                continue;
            }

            changed |= _failures.Remove(answer.Name) | !AddressesOf(answer.Name).SequenceEqual(answer.Addresses);
            _addresses[answer.Name] = answer.Addresses;
        }

        foreach (var name in _addresses.Keys.Concat(_failures.Keys).Where(n => !wanted.Contains(n)).ToArray())
        {
            _addresses.Remove(name);
            _failures.Remove(name);
        }

        return changed;
    }

    public static async Task<HostNameAnswer[]> LookUpAsync(IHostNameResolver resolver, IEnumerable<string> names, CancellationToken cancellationToken) =>
        await Task.WhenAll(names.Select(n => LookUpAsync(resolver, n, cancellationToken)));

    private static async Task<HostNameAnswer> LookUpAsync(IHostNameResolver resolver, string name, CancellationToken cancellationToken)
    {
        try
        {
            var addresses = await resolver.ResolveAsync(name, cancellationToken);
            return addresses.Count == 0
                ? new HostNameAnswer(name, [], "it has no address")
                : new HostNameAnswer(name, [.. addresses.Select(a => a.ToString()).Distinct().Order(StringComparer.Ordinal)], null);
        }
        catch (OperationCanceledException)
        {
            return new HostNameAnswer(name, [], "no answer in time");
        }
        catch (Exception e) when (e is System.Net.Sockets.SocketException or ArgumentException)
        {
            return new HostNameAnswer(name, [], e.Message);
        }
    }
}

/// <param name="Failure">Null when there are addresses.</param>
internal sealed record HostNameAnswer(string Name, ImmutableArray<string> Addresses, string? Failure);

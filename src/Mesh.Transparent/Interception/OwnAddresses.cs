using System.Collections.Frozen;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Mesh.Concurrency;

namespace Mesh.Transparent.Interception;

/// <summary>The addresses of this machine's interfaces: is a destination this pod itself?</summary>
/// <remarks>
/// Read again when an unknown one is asked for, for addresses come while a pod starts (IPv6 above all), but at most once a second,
/// for every destination outside is unknown. By getifaddrs, as NetworkInterface reads half of /proc for the same answer.
/// </remarks>
internal sealed unsafe partial class OwnAddresses
{
    private const int AfInet = 2;
    private const int AfInet6 = 10;
    private static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly Func<IEnumerable<IPAddress>> _read;
    private readonly Published<FrozenSet<IPAddress>> _addresses;
    private readonly Lock _refreshing = new();
    private long _readAt;

    public OwnAddresses(TimeProvider time)
        : this(time, ReadInterfaces)
    {
    }

    /// <param name="read">What brings the addresses, as given by the interfaces.</param>
    public OwnAddresses(TimeProvider time, Func<IEnumerable<IPAddress>> read)
    {
        _time = time;
        _read = read;
        _readAt = time.GetTimestamp();
        _addresses = new(Read());
    }

    /// <summary>Those that others can reach: neither loopback nor link-local. As last read.</summary>
    public IReadOnlyList<IPAddress> Reachable => [.. _addresses.Current.Where(address => !IPAddress.IsLoopback(address) && !IsLinkLocal(address))];

    /// <summary>Whether a connection to this address ends on this machine. IPv4-mapped and scoped forms are the same address.</summary>
    public bool Contains(IPAddress address)
    {
        // All of 127.0.0.0/8, of which interfaces name one address.
        if (IPAddress.IsLoopback(address))
        {
            return true;
        }

        var plain = Plain(address);
        return _addresses.Current.Contains(plain) || (Refresh() && _addresses.Current.Contains(plain));
    }

    private static bool IsLinkLocal(IPAddress address) =>
        address.IsIPv6LinkLocal || (address.AddressFamily == AddressFamily.InterNetwork && address.GetAddressBytes() is [169, 254, _, _]);

    private static IPAddress Plain(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            return address.MapToIPv4();
        }

        return address.AddressFamily == AddressFamily.InterNetworkV6 && address.ScopeId != 0 ? new IPAddress(address.GetAddressBytes()) : address;
    }

    private static List<IPAddress> ReadInterfaces()
    {
        if (GetIfAddrs(out var first) != 0)
        {
            throw new IOException($"The interfaces' addresses could not be read (getifaddrs: {Marshal.GetLastPInvokeErrorMessage()}).");
        }

        try
        {
            var found = new List<IPAddress>();
            for (var entry = first; entry is not null; entry = entry->Next)
            {
                // sockaddr: the family in host order, an IPv4 address at 4, an IPv6 one at 8.
                switch (entry->Address is null ? 0 : *(ushort*)entry->Address)
                {
                    case AfInet:
                        found.Add(new IPAddress(new ReadOnlySpan<byte>(entry->Address + 4, 4)));
                        break;
                    case AfInet6:
                        found.Add(new IPAddress(new ReadOnlySpan<byte>(entry->Address + 8, 16)));
                        break;
                }
            }

            return found;
        }
        finally
        {
            FreeIfAddrs(first);
        }
    }

    private FrozenSet<IPAddress> Read() => _read().Select(Plain).ToFrozenSet();

    /// <returns>True when what is published was read just now, by this caller or by one it waited for.</returns>
    private bool Refresh()
    {
        // Outside the lock first: most callers ask for an address outside, within the second.
        if (_time.GetElapsedTime(Volatile.Read(ref _readAt)) < RefreshInterval)
        {
            return false;
        }

        lock (_refreshing)
        {
            if (_time.GetElapsedTime(_readAt) < RefreshInterval)
            {
                return true;
            }

            Volatile.Write(ref _readAt, _time.GetTimestamp());
            try
            {
                _addresses.Publish(Read());
                return true;
            }
            catch (IOException)
            {
                // Out of descriptors, most likely: what was read last still holds, and no connection fails for this. The next second tries again.
                return false;
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "getifaddrs", SetLastError = true)]
    private static partial int GetIfAddrs(out IfAddrs* first);

    [LibraryImport("libc", EntryPoint = "freeifaddrs")]
    private static partial void FreeIfAddrs(IfAddrs* first);

    /// <summary>struct ifaddrs; its last fields are not needed, and it is only ever read through a pointer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IfAddrs
    {
        public IfAddrs* Next;
        public byte* Name;
        public uint Flags;
        public byte* Address;
    }
}

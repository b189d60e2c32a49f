using Mesh.Transparent.Commands;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

/// <summary>Options and errors, with nothing written: --dry-run.</summary>
public sealed class InitCommandTests : IDisposable
{
    private readonly StringWriter _output = new() { NewLine = "\n" };
    private readonly StringWriter _errors = new() { NewLine = "\n" };
    private readonly Dictionary<string, string> _environment = [];

    [Theory]
    [InlineData("--outbound-port", "70000", "--outbound-port '70000' is not a port. Give 1-65535.")]
    [InlineData("--outbound-port", "0", "--outbound-port '0' is not a port.")]
    [InlineData("--inbound-port", "-1", "--inbound-port '-1' is not a port.")]
    [InlineData("--inbound-port", "4140", "--outbound-port and --inbound-port are both 4140")]
    [InlineData("--proxy-uid", "root", "--proxy-uid 'root' is not the number of a user")]
    [InlineData("--proxy-gid", "4294967295", "--proxy-gid '4294967295' is not the number")]
    [InlineData("--skip-inbound-ports", "80,9-1", "--skip-inbound-ports '9-1' runs backwards. Write 1-9.")]
    [InlineData("--skip-outbound-ports", "80,http", "--skip-outbound-ports 'http' is not a port or a range")]
    [InlineData("--skip-outbound-ports", "1-65536", "--skip-outbound-ports '1-65536' is not a port or a range")]
    [InlineData("--inbound-ports", "some", "--inbound-ports 'some' is not a port")]
    [InlineData("--skip-subnets", "10.0.0.0/33", "--skip-subnets '10.0.0.0/33' is not a subnet.")]
    [InlineData("--skip-subnets", "10", "--skip-subnets '10' is not a subnet.")]
    [InlineData("--skip-subnets", "fe80::1%eth0/64", "--skip-subnets 'fe80::1%eth0/64' is not a subnet.")]
    [InlineData("--skip-subnets", "0.0.0.0/0", "--skip-subnets '0.0.0.0/0' is everything")]
    [InlineData("--backend", "pf", "--backend 'pf' is not known. Give nft, iptables-nft or iptables-legacy.")]
    [InlineData("--no-ipv6=maybe", "--undo", "--no-ipv6 'maybe' is neither true nor false.")]
    [InlineData("--proxy-port", "1", "'--proxy-port' is not known here")]
    public async Task Init_BadOption_Is64AndNamesIt(string option, string value, string message)
    {
        Assert.Equal(64, await InitAsync(option, value, "--dry-run"));
        Assert.Contains("mesh-proxy init: " + message, _errors.ToString(), StringComparison.Ordinal);
        Assert.Equal("", _output.ToString());
    }

    [Fact]
    public async Task Init_SeveralBadOptions_AreAllNamed()
    {
        _environment["MESH_SKIP_SUBNETS"] = "nowhere";

        Assert.Equal(64, await InitAsync("--outbound-port=x", "--proxy-uid"));
        Assert.Contains("--outbound-port 'x'", _errors.ToString(), StringComparison.Ordinal);
        Assert.Contains("--proxy-uid has no value", _errors.ToString(), StringComparison.Ordinal);
        Assert.Contains("MESH_SKIP_SUBNETS 'nowhere'", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Init_TooManySkips_AreRefused()
    {
        Assert.Equal(64, await InitAsync("--skip-inbound-ports", string.Join(',', Enumerable.Range(1, 257))));
        Assert.Contains("lists 257 ports; at most 256", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Init_Environment_CountsWhereNoOptionIsGiven()
    {
        foreach (var (name, value) in (ReadOnlySpan<(string, string)>)
        [
            ("MESH_PROXY_UID", "7"), ("MESH_PROXY_GID", "8"), ("MESH_OUTBOUND_PORT", "1140"), ("MESH_INBOUND_PORT", "1143"), ("MESH_SKIP_INBOUND_PORTS", "22, 23"),
            ("MESH_SKIP_OUTBOUND_PORTS", "25-26"), ("MESH_SKIP_SUBNETS", "10.1.2.3/8"), ("MESH_REDIRECT_INBOUND_PORTS", "80"), ("MESH_NO_IPV6", "true"),
        ])
        {
            _environment[name] = value;
        }

        // What the proxy takes from this variable is something else: the ports whose policies it waits for.
        _environment["MESH_INBOUND_PORTS"] = "8080";

        Assert.Equal(0, await InitAsync("--dry-run", "--outbound-port", "2140"));
        var text = _output.ToString();
        Assert.All(
            [
                "skuid 7", "skgid 8", "redirect to :2140", "tcp dport 80 redirect to :1143", "tcp dport 22 return", "tcp dport 23 return", "tcp dport 25-26 return",
                "ip daddr 10.0.0.0/8 return", "meta nfproto ipv6 return",
            ],
            part => Assert.Contains(part, text, StringComparison.Ordinal));
        Assert.DoesNotContain("8080", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Init_OptionGivenTwice_IsAList()
    {
        Assert.Equal(0, await InitAsync("--dry-run", "--skip-outbound-ports", "25", "--skip-outbound-ports=26"));
        Assert.Contains("tcp dport 25 return", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("tcp dport 26 return", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Init_DryRunOfIptables_HasATextForEachFamily()
    {
        Assert.Equal(0, await InitAsync("--dry-run", "--backend", "iptables-legacy"));
        Assert.Equal(2, _output.ToString().Split("*nat\n").Length - 1);
        Assert.Contains("ip6tables-restore --noflush", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Init_Help_NamesEveryOption()
    {
        Assert.Equal(0, await InitAsync("--help"));
        Assert.Contains("--skip-subnets", _output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--undo")]
    [InlineData("--dry-run")]
    public async Task Init_RunWithoutRules_Is64(string option)
    {
        Assert.Equal(64, await InitAsync("--run", option));
        Assert.Contains("--run goes with neither --undo nor --dry-run", _errors.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("soon")]
    [InlineData("10")]
    [InlineData("25h")]
    [InlineData("1s 2s")]
    [InlineData("")]
    public async Task Sleep_BadTime_Is64(string times)
    {
        Assert.Equal(64, await SleepCommand.RunAsync(times.Split(' ', StringSplitOptions.RemoveEmptyEntries), Context));
        Assert.Contains("is not a time", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sleep_EndsWhenItsTimeIsOver()
    {
        var time = new FakeTimeProvider();
        var sleeping = SleepCommand.RunAsync(["10s"], Context with { Time = time });
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(sleeping.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, await sleeping);
    }

    [Theory]
    [InlineData("0s")]
    [InlineData("10")]
    [InlineData("25h")]
    [InlineData("-1s")]
    [InlineData("soon")]
    [InlineData("99999999999999999999h")]
    public async Task Validate_BadTimeout_Is64(string timeout)
    {
        Assert.Equal(64, await ValidateCommand.RunAsync(["--timeout", timeout], Context));
        Assert.Contains($"--timeout '{timeout}' is not a time.", _errors.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("500ms", 500)]
    [InlineData("1.5s", 1500)]
    [InlineData("2m", 120_000)]
    [InlineData("1h", 3_600_000)]
    [InlineData("00:00:30", 30_000)]
    public void Durations_AsPeopleWriteThem(string text, int milliseconds)
    {
        Assert.True(Durations.TryParse(text, out var duration));
        Assert.Equal(milliseconds, duration.TotalMilliseconds);
    }

    public void Dispose()
    {
        _output.Dispose();
        _errors.Dispose();
    }

    private CommandContext Context => new(_output, _errors, _environment.GetValueOrDefault, TimeProvider.System);

    private Task<int> InitAsync(params string[] args) => InitCommand.RunAsync(args, Context);
}

using System.Text;
using System.Text.Json;
using Mesh.Transparent.Admin;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Transparent.Tests.Admin;

public sealed class SidecarLoggingTests
{
    [Fact]
    public async Task Filters_ChangedAtRunTime_HoldForLoggersThatExist()
    {
        var lines = await LinesAsync(LogFormat.Plain, "warning,Mesh=information", services =>
        {
            var loggers = services.GetRequiredService<ILoggerFactory>();
            var (xds, other) = (loggers.CreateLogger("Mesh.Xds.XdsClient"), loggers.CreateLogger("Other"));
            Write(xds, "1");
            Write(other, "1");
            services.GetRequiredService<LogLevels>().Set(Parse("error,Mesh.Xds=debug"));
            Write(xds, "2");
            Write(other, "2");
            services.GetRequiredService<LogLevels>().Set(Parse("off"));
            Write(xds, "3");
        });

        Assert.Equal(
            [
                "information Mesh.Xds.XdsClient[7] information 1", "warning Mesh.Xds.XdsClient[7] warning 1", "error Mesh.Xds.XdsClient[7] error 1", "warning Other[7] warning 1", "error Other[7] error 1",
                "debug Mesh.Xds.XdsClient[7] debug 2", "information Mesh.Xds.XdsClient[7] information 2", "warning Mesh.Xds.XdsClient[7] warning 2", "error Mesh.Xds.XdsClient[7] error 2", "error Other[7] error 2",
            ],
            lines.Select(l => l[(l.IndexOf(' ', StringComparison.Ordinal) + 1)..]));
        Assert.All(lines, l => Assert.Matches("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z ", l));

        static void Write(ILogger logger, string text)
        {
            foreach (var level in new[] { LogLevel.Debug, LogLevel.Information, LogLevel.Warning, LogLevel.Error })
            {
                logger.Log(level, new EventId(7, "Seven"), text, null, (s, _) => $"{LogFilters.Word(level)} {s}");
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Entry_OfHostileTextAndException_IsOneLine(bool isJson)
    {
        const string Hostile = "a\r\nforged \u001b[31m \u0085 \u2028 \"quoted\" \\ ünï";
        var line = Assert.Single(await LinesAsync(isJson ? LogFormat.Json : LogFormat.Plain, "trace", services => services.GetRequiredService<ILoggerFactory>().CreateLogger("C")
            .Log(LogLevel.Error, new EventId(7, "Seven"), Hostile, new InvalidOperationException("bad\nthing"), (s, _) => s)));

        Assert.DoesNotContain(line, c => char.IsControl(c) || c is '\u2028' or '\u2029');
        if (isJson)
        {
            var entry = JsonDocument.Parse(line).RootElement;
            Assert.Equal(Hostile, entry.GetProperty("message").GetString());
            Assert.Contains("bad\nthing", entry.GetProperty("exception").GetString(), StringComparison.Ordinal);
            Assert.Equal(("error", "C", "Seven", 7), (entry.GetProperty("level").GetString(), entry.GetProperty("category").GetString(), entry.GetProperty("event").GetString(), entry.GetProperty("id").GetInt32()));
        }
        else
        {
            Assert.Contains("error C[7] a\\r\\nforged \\u001b[31m \\u0085 \\u2028 \"quoted\" \\ ünï | System.InvalidOperationException: bad\\nthing", line, StringComparison.Ordinal);
        }
    }

    private static LogFilters Parse(string text) => LogFilters.TryParse(text, out var filters, out var problem) ? filters : throw new FormatException(problem);

    private static async Task<string[]> LinesAsync(LogFormat format, string level, Action<IServiceProvider> write)
    {
        var stream = new MemoryStream();
        var options = new SidecarOptions { LogFormat = format, LogLevel = Parse(level) };
        await using (var services = new ServiceCollection().AddSidecarLogging(options, stream).BuildServiceProvider())
        {
            write(services);
        }

        var text = Encoding.UTF8.GetString(stream.ToArray());
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        return text[..^1].Split('\n');
    }
}

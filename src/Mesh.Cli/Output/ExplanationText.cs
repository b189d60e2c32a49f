using System.Globalization;

namespace Mesh.Cli.Output;

/// <summary>Writes an explanation for people: a table of the service's values, then its rules in the order in which they are asked.</summary>
internal sealed class ExplanationText(CliContext context)
{
    /// <summary>Longer values continue on the next line, so that the last column stays in sight.</summary>
    private const int ValueWidth = 48;

    private static readonly (string, bool)[] Columns = [("AREA", false), ("SETTING", false), ("VALUE", false), ("FROM", false)];

    public async Task WriteAsync(Explanation explanation)
    {
        var first = true;
        foreach (var port in explanation.Ports)
        {
            if (!first)
            {
                await context.Out.WriteLineAsync();
            }

            first = false;
            var name = port.Name.Length == 0 ? string.Empty : $" ({port.Name})";
            var caller = explanation.Caller is null ? string.Empty : $", called by {explanation.Caller}";
            await context.Out.WriteLineAsync($"{explanation.Namespace}/{explanation.Service}:{port.Port.ToString(CultureInfo.InvariantCulture)}{name}{caller}");
            await context.Out.WriteLineAsync();
            await Table(port.Settings, explanation.Namespace, new Table(Columns)).WriteToAsync(context.Out);
            await context.Out.WriteLineAsync();
            await WriteRulesAsync(port, explanation);
            foreach (var route in port.Connections)
            {
                await context.Out.WriteLineAsync();
                await context.Out.WriteLineAsync($"{route.Kind} {Name(route.Namespace, route.Name, explanation.Namespace)} ({route.Where}), for what sidecars carry unread");
                await context.Out.WriteLineAsync($"    takes     {(route.Takes.Count == 0 ? "connections that nothing above takes" : $"TLS to {string.Join(", ", route.Takes)}")}");
                await context.Out.WriteLineAsync($"    sends to  {Backends(route.Backends, explanation.Namespace)}");
            }
        }
    }

    private async Task WriteRulesAsync(ExplainedPort port, Explanation explanation)
    {
        if (port.Rules.Count == 0)
        {
            await context.Out.WriteLineAsync("No route is attached: every call goes to the service.");
            return;
        }

        await context.Out.WriteLineAsync("Rules, in the order in which they are asked:");
        var number = 0;
        foreach (var rule in port.Rules)
        {
            number++;
            await context.Out.WriteLineAsync();
            await context.Out.WriteLineAsync(
                $"{number.ToString(CultureInfo.InvariantCulture),2}. {rule.Kind} {Name(rule.Namespace, rule.Name, explanation.Namespace)}, rule {rule.Rule} ({rule.Where}){(rule.Applies ? string.Empty : ": not for this caller")}");
            await context.Out.WriteLineAsync($"    takes     {string.Join($"{context.Out.NewLine}           or ", rule.Matches)}");
            var answers = rule.Filters.Any(f => f.StartsWith("answers ", StringComparison.Ordinal) || f.StartsWith("redirects ", StringComparison.Ordinal));
            if (!answers)
            {
                await context.Out.WriteLineAsync($"    sends to  {Backends(rule.Backends, explanation.Namespace)}");
            }

            foreach (var filter in rule.Filters)
            {
                var space = filter.IndexOf(' ', StringComparison.Ordinal);
                await context.Out.WriteLineAsync($"    {filter[..space],-9} {filter[(space + 1)..]}");
            }

            if (rule.Settings.Count > 0)
            {
                await Table(rule.Settings, explanation.Namespace, new Table(("", false), ("", false), ("", false), ("", false)), "    ").WriteToAsync(context.Out);
            }
        }

        if (port.Unmatched is { } unmatched)
        {
            await context.Out.WriteLineAsync();
            await context.Out.WriteLineAsync($"Calls that no rule takes are answered {unmatched}.");
        }
    }

    private static Table Table(IReadOnlyList<ExplainedSetting> settings, string ns, Table table, string indent = "")
    {
        var before = string.Empty;
        foreach (var setting in settings)
        {
            var dot = setting.Name.IndexOf('.', StringComparison.Ordinal);
            var area = setting.Name[..dot];
            var lines = Lines(setting.Value);
            table.Add(indent + (area == before ? string.Empty : area), setting.Name[(dot + 1)..], lines[0], Source(setting.Source, ns));
            foreach (var line in lines[1..])
            {
                table.Add(string.Empty, string.Empty, line, string.Empty);
            }

            before = area;
        }

        return table;
    }

    private static string Source(ExplainedSource source, string ns)
    {
        if (source.Name is null)
        {
            return source.Kind;
        }

        // Of a route's own fields the line is that of the rule: the field says the rest.
        var field = source.Kind.EndsWith("Route", StringComparison.Ordinal) ? $" {source.Field}" : string.Empty;
        return $"{source.Kind} {Name(source.Namespace!, source.Name, ns)}{field} ({source.Where})";
    }

    private static string Backends(IReadOnlyList<ExplainedBackend> backends, string ns)
    {
        var total = backends.Sum(b => (long)b.Weight);
        return total == 0 ? "nowhere: it fails"
            : string.Join(", ", backends.Where(b => b.Weight > 0).Select(b =>
                $"{Name(b.Namespace, b.Service, ns)}:{b.Port.ToString(CultureInfo.InvariantCulture)}{(b.Weight == total ? string.Empty : $" {(b.Weight * 100d / total).ToString("0.##", CultureInfo.InvariantCulture)} %")}{(b.Valid ? string.Empty : " (no such backend: fails)")}"));
    }

    /// <summary>The namespace only where it is another one.</summary>
    private static string Name(string ns, string name, string here) => ns == here ? name : $"{ns}/{name}";

    private static List<string> Lines(string value)
    {
        var lines = new List<string>();
        foreach (var part in value.Split(", "))
        {
            if (lines.Count > 0 && lines[^1].Length + 2 + part.Length <= ValueWidth)
            {
                lines[^1] += ", " + part;
            }
            else
            {
                if (lines.Count > 0)
                {
                    lines[^1] += ",";
                }

                lines.Add(part);
            }
        }

        return lines;
    }
}

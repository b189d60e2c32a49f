using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Mesh.Hosting;

/// <summary>Reads <see cref="MeshCallOptions"/> from a section and says what is wrong with them, wherever they come from.</summary>
internal static class MeshCallOptionsReader
{
    // What a timer of the resilience pipeline takes; outside of it a limit would be moved, and so could widen.
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    /// <summary>Reads <c>Mesh:Clients</c> and <c>Mesh:Services</c>.</summary>
    /// <param name="problems">Gets every unreadable value.</param>
    public static void Read(IConfigurationSection mesh, MeshOptions into, List<string> problems)
    {
        foreach (var client in mesh.GetSection(nameof(MeshOptions.Clients)).GetChildren())
        {
            var options = new MeshClientOptions();
            Read(client, options, problems);
            if (client[nameof(MeshClientOptions.RetryOwner)] is { Length: > 0 } owner)
            {
                if (Enum.TryParse<MeshRetryOwner>(owner, ignoreCase: true, out var parsed) && Enum.IsDefined(parsed))
                {
                    options.RetryOwner = parsed;
                }
                else
                {
                    problems.Add($"{client.Path}:RetryOwner is '{owner}'. Use {nameof(MeshRetryOwner.Mesh)} or {nameof(MeshRetryOwner.Client)}.");
                }
            }

            into.Clients[client.Key] = options;
        }

        foreach (var service in mesh.GetSection(nameof(MeshOptions.Services)).GetChildren())
        {
            var options = new MeshCallOptions();
            Read(service, options, problems);
            into.Services[service.Key] = options;
        }
    }

    /// <summary>Every value that cannot be meant.</summary>
    /// <param name="where">Begins each sentence, such as <c>Mesh:Clients:catalog:</c>.</param>
    public static IEnumerable<string> Problems(MeshCallOptions options, string where)
    {
        foreach (var (name, value) in new[] { (nameof(options.Timeout), options.Timeout), (nameof(options.AttemptTimeout), options.AttemptTimeout) })
        {
            if (value < Shortest || value > Longest)
            {
                yield return $"{where}{name} is {value}. Use 00:00:00.010 to 1.00:00:00, or leave it out for the route's.";
            }
        }

        if (options.AttemptTimeout > options.Timeout)
        {
            yield return $"{where}AttemptTimeout is {options.AttemptTimeout}, longer than Timeout, {options.Timeout}. An attempt ends with its call: shorten it or leave it out.";
        }

        if (options.MaxRetries < 0)
        {
            yield return $"{where}MaxRetries is {options.MaxRetries}. Use 0 for none, or leave it out for the route's.";
        }

        if (options.MaxConcurrentRequests < 1)
        {
            yield return $"{where}MaxConcurrentRequests is {options.MaxConcurrentRequests}. Use at least 1, or leave it out for the cluster's.";
        }
    }

    private static void Read(IConfigurationSection section, MeshCallOptions into, List<string> problems)
    {
        into.Timeout = Time(section, nameof(into.Timeout), problems);
        into.AttemptTimeout = Time(section, nameof(into.AttemptTimeout), problems);
        into.MaxRetries = Number(section, nameof(into.MaxRetries), problems);
        into.MaxConcurrentRequests = Number(section, nameof(into.MaxConcurrentRequests), problems);
        if (section[nameof(into.DisableHedging)] is { Length: > 0 } text)
        {
            if (bool.TryParse(text, out var parsed))
            {
                into.DisableHedging = parsed;
            }
            else
            {
                problems.Add($"{section.Path}:DisableHedging is '{text}'. Use true or false.");
            }
        }

        foreach (var child in section.GetChildren())
        {
            if (!IsKnown(child.Key, into is MeshClientOptions))
            {
                problems.Add($"{section.Path} holds '{child.Key}', which is no setting. Use Timeout, AttemptTimeout, MaxRetries, MaxConcurrentRequests{(into is MeshClientOptions ? ", DisableHedging or RetryOwner" : " or DisableHedging")}.");
            }
        }
    }

    // A misspelt limit would be one that nobody keeps.
    private static bool IsKnown(string key, bool isClient) => key.ToUpperInvariant() switch
    {
        "TIMEOUT" or "ATTEMPTTIMEOUT" or "MAXRETRIES" or "MAXCONCURRENTREQUESTS" or "DISABLEHEDGING" => true,
        "RETRYOWNER" => isClient,
        _ => false,
    };

    private static TimeSpan? Time(IConfigurationSection section, string key, List<string> problems)
    {
        if (section[key] is not { Length: > 0 } text)
        {
            return null;
        }

        if (TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var parsed))
        {
            return parsed;
        }

        problems.Add($"{section.Path}:{key} is '{text}'. Use hours:minutes:seconds, such as 00:00:02.5.");
        return null;
    }

    private static int? Number(IConfigurationSection section, string key, List<string> problems)
    {
        if (section[key] is not { Length: > 0 } text)
        {
            return null;
        }

        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed))
        {
            return parsed;
        }

        problems.Add($"{section.Path}:{key} is '{text}'. Use a whole number.");
        return null;
    }
}

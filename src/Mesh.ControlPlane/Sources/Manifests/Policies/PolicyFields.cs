using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Collects what one policy says, each value with the field it stands in.</summary>
/// <param name="targets">The kinds of the policy's targets.</param>
internal sealed class PolicyFields(YamlMap spec, ManifestKey key, ImmutableArray<PolicyTargetKind> targets)
{
    public YamlMap Spec => spec;

    /// <summary>Of the policy.</summary>
    public string Namespace => key.Namespace;

    public List<SettingValue> Values { get; } = [];

    public DateTimeOffset? ExpiresAt { get; set; }

    public void Add<T>(YamlMap map, string field, Setting<T> setting, T value)
        where T : notnull => Values.Add(new SettingValue(
            setting, value, new SettingSource(key.Kind, new Model.ServiceName(key.Namespace, key.Name), map.Field(field), map.Problems.Where(map.Find(field) ?? map.Node))));

    public void Integer(YamlMap map, string field, Setting<int> setting, int min, int max)
    {
        if (map.Integer(field, min, max) is { } number)
        {
            Add(map, field, setting, number);
        }
    }

    public void Flag(YamlMap map, string field, Setting<bool> setting)
    {
        if (map.Flag(field) is { } flag)
        {
            Add(map, field, setting, flag);
        }
    }

    /// <param name="zero">What zero means; null: it is refused.</param>
    /// <returns>The time, for comparison with others.</returns>
    public TimeSpan? Time(YamlMap map, string field, Setting<TimeSpan> setting, string? zero = null)
    {
        if (Length(map, field, zero) is not { } time)
        {
            return null;
        }

        Add(map, field, setting, time);
        return time;
    }

    public void Number(YamlMap map, string field, Setting<double> setting, double min, double max)
    {
        if (map.Find(field) is not { } node)
        {
            return;
        }

        if (node.Plain is { } plain
            && double.TryParse(plain, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max)
        {
            Add(map, field, setting, number);
            return;
        }

        map.Problems.Refuse(node, string.Create(CultureInfo.InvariantCulture, $"{map.Field(field)} is {YamlMap.Show(node)}. Use a number from {min} to {max}."));
    }

    /// <summary>For what belongs to a Service as a whole: a route has no clusters of its own.</summary>
    public void OnlyForServices(YamlMap map, string field)
    {
        if (map.Find(field) is { } node && targets.Any(t => t is PolicyTargetKind.HTTPRoute or PolicyTargetKind.GRPCRoute))
        {
            map.Problems.Refuse(node, $"{map.Field(field)} holds for all callers of a Service and not for one route. Put it into a policy whose targets are of kind Service or Namespace.");
        }
    }

    /// <summary>A duration; zero only where it means something.</summary>
    public static TimeSpan? Length(YamlMap map, string field, string? zero = null)
    {
        var time = RouteFields.Duration(map, field);
        if (time == TimeSpan.Zero && zero is null)
        {
            map.Bad(field, map.Text(field)!, "Use more than 0.");
            return null;
        }

        return time;
    }

    /// <summary>Refuses one field that must not be longer than another of the same policy.</summary>
    public static void NotLonger(YamlMap map, string field, TimeSpan? time, string limitField, TimeSpan? limit)
    {
        if (time > limit && limit > TimeSpan.Zero)
        {
            map.Bad(field, map.Text(field)!, $"It cannot be longer than {limitField} ({Shown.Length(limit.Value)}).");
        }
    }
}

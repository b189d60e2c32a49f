namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What holds at one place: each setting with the most specific value that somebody gave, and who gave it. Immutable.</summary>
internal sealed class EffectiveSettings
{
    public static readonly EffectiveSettings None = new([]);

    private readonly Dictionary<Setting, SettingValue> _values = [];

    /// <param name="mostSpecificFirst">The first value of a setting is the one that holds.</param>
    public EffectiveSettings(IEnumerable<SettingValue> mostSpecificFirst)
    {
        foreach (var value in mostSpecificFirst)
        {
            _values.TryAdd(value.Setting, value);
        }
    }

    public T Get<T>(Setting<T> setting)
        where T : notnull => _values.TryGetValue(setting, out var value) ? (T)value.Value : setting.Default;

    /// <summary>Somebody gave a value, even if it is the default's.</summary>
    public bool IsSet(Setting setting) => _values.ContainsKey(setting);

    public bool IsAnySet(params ReadOnlySpan<Setting> settings)
    {
        foreach (var setting in settings)
        {
            if (IsSet(setting))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Null when the default holds.</summary>
    public SettingValue? Find(Setting setting) => _values.GetValueOrDefault(setting);
}
